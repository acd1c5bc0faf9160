from __future__ import annotations

import json
import logging
import sys

import pytest
from fastapi.testclient import TestClient

from server import logs
from server.logs import JsonFormatter, request_id


@pytest.mark.usefixtures("restored_logging")
def test_json_lines_hold_the_request_and_what_the_caller_gave(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    token = request_id.set("abc")
    logging.getLogger("server.x").info("took %d ms", 3, extra={"ms": 3})
    logging.getLogger("server.x").debug("unseen")
    request_id.reset(token)
    (line,) = capsys.readouterr().err.splitlines()
    document = json.loads(line)
    assert (document["message"], document["ms"], document["request_id"]) == ("took 3 ms", 3, "abc")
    assert (document["level"], document["logger"]) == ("info", "server.x")
    assert document["time"].endswith("Z")


@pytest.mark.usefixtures("restored_logging")
def test_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "console")
    logging.getLogger("server.x").warning("careful")
    logging.getLogger("server.x").info("unseen")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING [-] careful")


def test_exceptions_stay_on_their_line() -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "ValueError: odd" in json.loads(text)["exception"]


def test_requests_are_logged_without_their_query(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "server.access"):
        client.get("/models?secret=1", headers={"X-Request-ID": "mine"})
        client.get("/v2/health/live")
    (record,) = [record for record in caplog.records if record.name == "server.access"]
    assert record.getMessage().startswith("GET /models 200")
    assert "secret" not in record.getMessage()
