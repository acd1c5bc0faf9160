from __future__ import annotations

import pytest

from server.negotiation import choose_language, choose_media_type

OFFERED = ("image/png", "image/jpeg", "image/webp", "application/json")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "image/png"),
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/webp", "image/webp"),
        ("image/png;q=0.5, image/jpeg", "image/jpeg"),
        ("image/*;q=0.3, application/json;q=0.8", "application/json"),
        ("image/png;q=0, image/*", "image/jpeg"),
        ("IMAGE/WEBP ; Q=1", "image/webp"),
        ("text/html, */*;q=0.1", "image/png"),
        ("text/html", None),
        ("image/avif", None),
        ("image/png;q=0", None),
        ("image/png;q=rubbish", None),
    ],
)
def test_media_type_follows_accept(accept: str | None, chosen: str | None) -> None:
    assert choose_media_type(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "en"),
        ("ja", "ja"),
        ("ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        ("fr, en;q=0.3, ja;q=0.2", "en"),
        ("de", "en"),
        ("ja;q=0", "en"),
    ],
)
def test_language_follows_accept_language(accept: str | None, chosen: str) -> None:
    assert choose_language(accept, ("en", "ja")) == chosen
