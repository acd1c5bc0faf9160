"""The one shape of every error, stated once."""

from __future__ import annotations

from typing import Any

import httpx2

REQUIRED = {"type", "title", "status", "code", "detail", "request_id"}


def assert_error(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Checks that `response` is `application/problem+json` with all required members and returns them.

    `{"type": "about:blank", "title": ..., "status": 422, "code": "bad_parameter", "detail": ..., "request_id": ...}`, where
    `status` is the HTTP status, `request_id` is the one in the header, and `detail` is a sentence.
    """
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert set(document) >= REQUIRED
    assert (document["status"], document["code"], document["type"]) == (status, code, "about:blank")
    assert document["request_id"] == response.headers["x-request-id"]
    assert len(document["detail"]) > 10
    assert response.headers["x-content-type-options"] == "nosniff"
    if status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    return document
