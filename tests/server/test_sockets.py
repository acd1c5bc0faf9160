"""The real thing: the command in a process of its own, asked over the network."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.server.livechat import frame, read_answer

START_SECONDS = 60


class Served:
    """A running `inkwash serve`."""

    def __init__(self, models_dir: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        own = {f"INKWASH_{name.upper()}": value for name, value in settings.items()}
        environment = os.environ | {"INKWASH_BUNDLED_MODELS": "false", "INKWASH_THREADS": "1"} | own
        command = [sys.executable, "-m", "server", "serve", "--models", str(models_dir), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait_until_ready()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def _wait_until_ready(self) -> None:
        for _ in range(START_SECONDS * 20):
            try:
                with self.get("/v2/health/ready"):
                    return
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, "".join(self.lines)
                threading.Event().wait(0.05)
        raise AssertionError("".join(self.lines))

    def get(self, path: str, content: bytes | None = None, method: str | None = None) -> urllib.request._UrlopenRet:
        headers = {"Content-Type": "image/png"} if content else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content, headers, method=method)
        return urllib.request.urlopen(request, timeout=20)

    def live(self, model: str, **options: object):
        return connect(f"ws://127.0.0.1:{self.port}/live/{model}", compression=None, open_timeout=20, **options)  # type: ignore[arg-type]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self._reader.join(10)
        if self.process.stderr:
            self.process.stderr.close()
        return status


@pytest.fixture(scope="module")
def served(models_dir: Path) -> Iterator[Served]:
    server = Served(models_dir, max_loaded_models="8", log_format="json", max_frame_bytes="20000")
    yield server
    server.stop()


def test_it_says_where_it_is_on_what_and_with_which_models(served: Served) -> None:
    text = "".join(served.lines)
    assert f"http://127.0.0.1:{served.port}" in text
    assert re.search(r"device\s+cpu, 1 threads \(auto: no cuda", text)
    assert "copy, demo-labels, demo-lines" in text


def test_a_picture_goes_through(served: Served, cat: bytes) -> None:
    with served.get("/translate/copy?seed=5", cat) as response:
        assert response.status == 200
        assert response.headers["X-Seed"] == "5"
        assert response.read().startswith(b"\x89PNG")


def test_head_has_no_body(served: Served) -> None:
    with served.get("/models", method="HEAD") as response:
        assert int(response.headers["content-length"]) > 100
        assert response.read() == b""


def test_requests_are_logged_as_json_with_their_id(served: Served, cat: bytes) -> None:
    with served.get("/translate/copy", cat) as response:
        request_id = response.headers["X-Request-ID"]
    for _ in range(100):
        if any(request_id in line for line in served.lines):
            break
        threading.Event().wait(0.05)
    line = next(json.loads(line) for line in served.lines if request_id in line)
    assert (line["status"], line["method"], line["path"]) == (200, "POST", "/translate/copy")


def test_live_frames_go_through(served: Served, cat: bytes) -> None:
    with served.live("copy") as talk:
        assert json.loads(talk.recv(10))["event"] == "ready"
        for number in range(3):
            talk.send(frame(number, {"image": cat}, type="image/png"))
            answer = read_answer(bytes(talk.recv(10)))  # type: ignore[arg-type]
            assert answer.header["id"] == number
            assert answer.picture.startswith(b"\x89PNG")


def test_a_foreign_page_gets_a_problem_document(served: Served) -> None:
    with pytest.raises(InvalidStatus) as caught:
        served.live("copy", origin="https://evil.example")
    assert caught.value.response.status_code == 403
    assert json.loads(caught.value.response.body or b"")["code"] == "origin_refused"


def test_a_frame_beyond_the_bound_is_not_even_taken_in(served: Served) -> None:
    with served.live("copy") as talk:
        talk.recv(10)
        talk.send(b"x" * 30_000)
        with pytest.raises(ConnectionClosed) as caught:
            talk.recv(10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


def test_a_client_that_does_not_read_delays_nobody(served: Served, cat: bytes) -> None:
    with served.live("demo-lines", max_size=2**20) as silent, served.live("copy") as lively:
        lively.recv(10)
        for number in range(40):
            silent.send(frame(number, {"image": cat}, type="image/png"))
        for number in range(10):
            lively.send(frame(number, {"image": cat}))
            assert read_answer(bytes(lively.recv(10))).header["id"] == number  # type: ignore[arg-type]


def test_a_stop_finishes_what_is_under_way_and_tells_sockets(models_dir: Path) -> None:
    server = Served(models_dir, preload="false", shutdown_grace_seconds="5")
    with server.live("copy") as talk:
        talk.recv(10)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as caught:
            talk.recv(10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
    assert server.stop() in (0, -signal.SIGTERM)


def test_a_port_that_is_taken_ends_the_command(served: Served, models_dir: Path) -> None:
    command = [sys.executable, "-m", "server", "serve", "--models", str(models_dir), "--port", str(served.port)]
    environment = os.environ | {"INKWASH_BUNDLED_MODELS": "false", "INKWASH_PRELOAD": "false"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert result.returncode != 0
    assert "address already in use" in result.stderr
