"""Every error code, produced the way a caller would produce it, in the one shape."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from server import requests
from server.app import create_app
from server.catalog import Entry
from server.errors import ERRORS, ApiError, ModelError
from server.settings import Settings
from tests.server import models
from tests.server.conftest import MakeClient, encoded, png
from tests.server.fake import FakeSession
from tests.server.problem import assert_error

PNG_TYPE = {"Content-Type": "image/png"}


def test_every_error_class_has_its_row() -> None:
    assert set(ERRORS) == set(ApiError.__subclasses__())
    codes = [row.code for row in ERRORS.values()]
    assert len(set(codes)) == len(codes)


def test_the_protocol_lists_exactly_these_codes(root: Path) -> None:
    text = (root / "docs/protocol.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", text, re.MULTILINE)
    listed = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    assert listed == {(row.status, row.code) for row in ERRORS.values()}


def test_unknown_model(client: TestClient) -> None:
    for response in (client.post("/translate/cats"), client.get("/models/cats"), client.get("/models/cats/preview")):
        assert "demo-lines" in assert_error(response, 404, "unknown_model")["models"]


def test_unknown_sample(client: TestClient) -> None:
    for path in ("samples/99", "samples/-1", "samples/0?part=mask"):
        assert_error(client.get(f"/models/copy/{path}"), 404, "unknown_sample")
    assert_error(client.get("/models/photo/preview"), 404, "unknown_sample")


def test_not_found(client: TestClient) -> None:
    for path in ("/nothing", "/static/none.js", "/docs/secret", "/models/../etc/passwd", "/static/..%2f..%2fpyproject.toml"):
        assert_error(client.get(path), 404, "not_found")


def test_method_not_allowed(client: TestClient) -> None:
    assert assert_error(client.get("/translate/copy"), 405, "method_not_allowed")
    assert_error(client.delete("/models"), 405, "method_not_allowed")


def test_bad_path_parameter(client: TestClient) -> None:
    assert assert_error(client.get("/models/copy/samples/first"), 422, "bad_parameter")["parameter"] == "number"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\nrubbish", encoded(Image.new("L", (9, 9)), "GIF")])
def test_bad_image(client: TestClient, content: bytes) -> None:
    assert_error(client.post("/translate/copy", content=content, headers=PNG_TYPE), 400, "bad_image")


def test_not_acceptable(client: TestClient, cat: bytes) -> None:
    response = client.post("/translate/copy", content=cat, headers=PNG_TYPE | {"Accept": "text/html"})
    assert "image/png" in assert_error(response, 406, "not_acceptable")["offered"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "image/svg+xml", "video/mp4"])
def test_unsupported_media_type(client: TestClient, cat: bytes, content_type: str) -> None:
    response = client.post("/translate/copy", content=cat, headers={"Content-Type": content_type})
    assert_error(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("seed=-1", "seed"), ("seed=4294967296", "seed"), ("seed=x", "seed"), ("n=0", "n"), ("n=17", "n"), ("n=", "n"),
        ("format=gif", "format"), ("size=huge", "size"), ("strength=2", "strength"),
        ("strength=nan", "strength"), ("speed=1", "speed"),
    ],
)  # fmt: skip
def test_bad_parameter(client: TestClient, cat: bytes, query: str, parameter: str) -> None:
    response = client.post(f"/translate/noise?{query}", content=cat, headers=PNG_TYPE)
    assert assert_error(response, 422, "bad_parameter")["parameter"] == parameter


def test_missing_input(client: TestClient) -> None:
    hints = png(models.hint_dabs(32))
    assert assert_error(client.post("/translate/demo-lines", files={"hints": hints}), 422, "missing_input")["inputs"] == [
        "lines"
    ]
    assert_error(client.post("/translate/copy", json={}), 422, "missing_input")


def test_unknown_input(client: TestClient, cat: bytes) -> None:
    assert_error(client.post("/translate/copy", files={"mask": cat}), 422, "unknown_input")
    assert_error(client.post("/translate/copy", json={"inputs": {"mask": ""}}), 422, "unknown_input")


def test_off_palette(client: TestClient) -> None:
    photo = np.random.default_rng(0).integers(90, 200, (32, 32, 3), dtype=np.uint8)
    response = client.post("/translate/demo-labels", content=png(photo), headers=PNG_TYPE)
    assert len(assert_error(response, 422, "off_palette")["palette"]) == 12


def test_image_too_large(make_client: MakeClient) -> None:
    client = make_client(max_pixels=100, max_side=50)
    response = client.post("/translate/copy", content=png(Image.new("L", (11, 10))), headers=PNG_TYPE)
    assert assert_error(response, 413, "image_too_large")["width"] == 11
    response = client.post("/translate/copy", content=png(Image.new("L", (51, 1))), headers=PNG_TYPE)
    assert_error(response, 413, "image_too_large")


def test_body_too_large_by_its_declared_length(make_client: MakeClient) -> None:
    client = make_client(max_upload_bytes=2000)
    response = client.post("/translate/copy", content=b"x" * 2001, headers=PNG_TYPE)
    assert assert_error(response, 413, "body_too_large")["limit"] == 2000


def test_body_too_large_while_it_streams(make_client: MakeClient) -> None:
    sent = []

    def stream():
        for number in range(100):
            sent.append(number)
            yield b"x" * 1000

    client = make_client(max_upload_bytes=2000)
    assert_error(client.post("/translate/copy", content=stream(), headers=PNG_TYPE), 413, "body_too_large")


@pytest.mark.parametrize("fault", ["load", "run"])
def test_model_failed(make_client: MakeClient, cat: bytes, fault: str) -> None:
    session = FakeSession(is_open=True)
    session.error = RuntimeError("the device fell off")

    def load(_: Entry) -> FakeSession:
        if fault == "load":
            raise ModelError("its weights are missing.")
        return session

    client = make_client(load=load)
    document = assert_error(client.post("/translate/copy", content=cat, headers=PNG_TYPE), 503, "model_failed")
    assert "fell off" not in document["detail"]


def test_a_broken_model_does_not_stop_the_others(make_client: MakeClient, models_dir: Path, tmp_path: Path, cat: bytes) -> None:
    def spoil(manifest: dict[str, Any]) -> None:
        manifest["sha256"] = "0" * 64

    models.write_model(tmp_path / "spoilt", models.identity_graph(), change=spoil)
    (tmp_path / "empty").mkdir()
    client = make_client(models_dir=(models_dir, tmp_path))
    assert_error(client.post("/translate/spoilt", content=cat, headers=PNG_TYPE), 503, "model_failed")
    assert client.post("/translate/copy", content=cat, headers=PNG_TYPE).status_code == 200
    listed = client.get("/models").json()
    states = {model["id"]: (model["status"], model["reason"]) for model in listed["models"]}
    assert states["copy"] == ("ready", None)
    assert states["spoilt"][0] == "failed"
    assert "sha256" in states["spoilt"][1]
    assert [broken["id"] for broken in listed["broken"]] == ["empty"]


def test_internal(make_client: MakeClient, cat: bytes, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(FakeSession):
        def run(self, feeds: Any) -> Any:
            return super().run(feeds)[:, :1, :1, :0]

    client = make_client(load=lambda _: Odd(is_open=True))
    response = client.post("/translate/copy", content=cat, headers=PNG_TYPE | {"X-Request-ID": "find-me"})
    document = assert_error(response, 500, "internal")
    assert document["request_id"] == "find-me"
    assert "Traceback" in caplog.text


def post(app: Any, cat: bytes, model: str = "copy") -> Any:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    client = httpx2.AsyncClient(transport=transport, base_url="http://test")
    return client.post(f"/translate/{model}", content=cat, headers=PNG_TYPE)


class Gated:
    """An app whose only model waits for permission."""

    def __init__(self, settings: Settings, **changes: Any) -> None:
        self.session = FakeSession()
        self.app = create_app(settings.model_copy(update=changes), lambda _: self.session)
        self.engine = self.app.state.service.engine

    async def start(self, cat: bytes) -> asyncio.Task[Any]:
        task = asyncio.create_task(post(self.app, cat))
        await self.session.running()
        return task

    async def finish(self, *tasks: asyncio.Task[Any]) -> list[Any]:
        self.session.open()
        answers = await asyncio.gather(*tasks)
        await self.engine.close(5)
        return answers


async def test_queue_full(settings: Settings, cat: bytes) -> None:
    gated = Gated(settings, queue_size=1)
    first = await gated.start(cat)
    assert_error(await post(gated.app, cat), 429, "queue_full")
    assert [answer.status_code for answer in await gated.finish(first)] == [200]
    metrics = gated.app.state.service.metrics.render().decode()
    assert 'inkwash_rejected_total{code="queue_full"} 1.0' in metrics


async def test_timeout(settings: Settings, cat: bytes) -> None:
    gated = Gated(settings, deadline_seconds=1.0)
    first = await gated.start(cat)
    assert_error(await post(gated.app, cat), 504, "timeout")
    await gated.finish(first)


async def test_shutting_down(settings: Settings, cat: bytes) -> None:
    gated = Gated(settings)
    first = await gated.start(cat)
    gated.engine.drain()
    assert_error(await post(gated.app, cat), 503, "shutting_down")
    assert [answer.status_code for answer in await gated.finish(first)] == [200], "what was under way is finished"


async def test_a_caller_who_hangs_up_leaves_the_queue(settings: Settings, cat: bytes) -> None:
    gated = Gated(settings)
    first = await gated.start(cat)
    gone = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not sent_body:
            sent_body.append(True)
            return {"type": "http.request", "body": cat, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    sent_body: list[bool] = []
    scope = {
        "type": "http", "method": "POST", "path": "/translate/copy", "raw_path": b"/translate/copy", "query_string": b"",
        "headers": [(b"content-type", b"image/png")], "client": ("9.9.9.9", 1), "server": ("test", 80), "scheme": "http",
        "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    task = asyncio.create_task(gated.app(scope, receive, send))
    async with asyncio.timeout(10):
        while gated.engine.queue_depths()["copy"] == 0:
            await asyncio.sleep(0.001)
        gone.set()
        await task
    assert gated.engine.queue_depths()["copy"] == 0
    assert sent[0]["status"] == 499
    await gated.finish(first)
    assert len(gated.session.runs) == 1


async def test_a_body_that_stops_coming_is_refused(settings: Settings) -> None:
    async def stream():
        yield b"x"
        await asyncio.sleep(30)

    app = create_app(settings.model_copy(update={"body_timeout_seconds": 0.05}))
    messages: list[Any] = []
    parts = stream()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(parts), "more_body": True}

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/translate/copy", "raw_path": b"/translate/copy", "query_string": b"",
        "headers": [(b"content-type", b"image/png")], "client": ("9.9.9.9", 1), "server": ("test", 80), "scheme": "http",
        "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    async with asyncio.timeout(10):
        await app(scope, receive, send)
    assert messages[0]["status"] == 400
    assert b"stopped coming for 0.05 seconds" in messages[1]["body"]
    await app.state.service.engine.close(1)


class Upload:
    """A request whose body comes in the parts that a test sends, and its answer."""

    def __init__(self, app: Any, address: str = "9.9.9.9") -> None:
        self.parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.is_asked_for = asyncio.Event()
        self._messages: list[Any] = []
        scope = {
            "type": "http", "method": "POST", "path": "/translate/copy", "raw_path": b"/translate/copy", "query_string": b"",
            "headers": [(b"content-type", b"image/png")], "client": (address, 1), "server": ("test", 80), "scheme": "http",
            "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        self._task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        self.is_asked_for.set()
        return await self.parts.get()

    async def _send(self, message: Any) -> None:
        self._messages.append(message)

    def send(self, content: bytes, more: bool = True) -> None:
        self.parts.put_nowait({"type": "http.request", "body": content, "more_body": more})

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(10):
            await self._task
        return self._messages[0]["status"], self._messages[1]["body"]


async def test_bodies_that_are_being_read_hold_their_places(settings: Settings, cat: bytes) -> None:
    gated = Gated(settings, queue_size=4)
    gated.session.open()
    slow = [Upload(gated.app) for _ in range(3)]
    for upload in slow:
        await upload.is_asked_for.wait()
    refused = Upload(gated.app)
    status, document = await refused.answer()
    assert (status, b"from your address" in document) == (429, True)
    assert not refused.is_asked_for.is_set(), "nothing of the body was read"
    slow.append(Upload(gated.app, "8.8.8.8"))
    await slow[-1].is_asked_for.wait()
    assert (await Upload(gated.app, "7.7.7.7").answer())[0] == 429, "the model is full"
    for upload in slow:
        upload.send(cat, more=False)
        assert (await upload.answer())[0] == 200
    last = Upload(gated.app)
    last.send(cat, more=False)
    assert (await last.answer())[0] == 200, "the places are free again"
    await gated.engine.close(5)


async def test_a_body_that_trickles_is_refused_at_the_deadline(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"body_timeout_seconds": 5.0, "body_deadline_seconds": 0.1}))
    upload = Upload(app)

    async def trickle() -> None:
        while True:
            upload.send(b"x")
            await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    status, document = await upload.answer()
    trickling.cancel()
    assert (status, b"did not arrive within 0.1 seconds" in document) == (400, True)
    await app.state.service.engine.close(1)


@pytest.mark.parametrize("form", ["json", "files"])
def test_bodies_are_taken_apart_off_the_event_loop(
    client: TestClient, cat: bytes, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    threads: list[str] = []
    add_picture = requests._add_picture

    def note(*arguments: Any) -> None:
        threads.append(threading.current_thread().name)
        add_picture(*arguments)

    monkeypatch.setattr(requests, "_add_picture", note)
    text = base64.b64encode(cat).decode()
    response = (
        client.post("/translate/copy", json={"image": text})
        if form == "json"
        else client.post("/translate/copy", files={"image": cat})
    )
    assert response.status_code == 200
    assert len(threads) == 1
    assert threads[0].startswith("inkwash-codec")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", "not_found"),
        ("DELETE", "/models", "method_not_allowed"),
        ("GET", "/models/copy/samples/first", "bad_parameter"),
        ("GET", "/models/cats", "unknown_model"),
    ],
)
def test_every_refusal_is_counted(make_client: MakeClient, method: str, path: str, code: str) -> None:
    client = make_client()
    client.request(method, path)
    assert f'inkwash_rejected_total{{code="{code}"}} 1.0' in client.get("/metrics").text


def test_a_fault_of_the_server_is_counted(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client()
    monkeypatch.setattr(type(client.app.state.service), "model_list", lambda _: 1 / 0)  # type: ignore[attr-defined]
    assert_error(client.get("/models"), 500, "internal")
    assert 'inkwash_rejected_total{code="internal"} 1.0' in client.get("/metrics").text


def test_a_run_that_fails_is_logged_with_the_id_that_the_caller_got(
    make_client: MakeClient, cat: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    session = FakeSession(is_open=True)
    session.error = RuntimeError("the device fell off")
    client = make_client(load=lambda _: session)
    response = client.post("/translate/copy", content=cat, headers=PNG_TYPE | {"X-Request-ID": "find-me"})
    assert assert_error(response, 503, "model_failed")["request_id"] == "find-me"
    told = [record for record in caplog.records if record.exc_info and "fell off" in str(record.exc_info[1])]
    assert [getattr(record, "request_id", "-") for record in told] == ["find-me"]


def test_one_address_cannot_take_every_place(make_client: MakeClient, cat: bytes) -> None:
    session = FakeSession()
    client = make_client(load=lambda _: session, queue_size=4)
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(client.post("/translate/copy", content=cat, headers=PNG_TYPE).status_code)
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    session.wait_until_running()
    engine = client.app.state.service.engine  # type: ignore[attr-defined]
    while engine.queue_depths().get("copy", 0) < 2:
        pass
    assert_error(client.post("/translate/copy", content=cat, headers=PNG_TYPE), 429, "queue_full")
    session.open()
    for thread in threads:
        thread.join(10)
    assert answers == [200, 200, 200]


def test_errors_carry_cors_headers_for_named_origins(make_client: MakeClient) -> None:
    client = make_client(allowed_origins=("https://friend.example",))
    response = client.post("/translate/copy", content=b"", headers=PNG_TYPE | {"Origin": "https://friend.example"})
    assert_error(response, 400, "bad_image")
    assert response.headers["access-control-allow-origin"] == "https://friend.example"


@pytest.mark.parametrize("given", ["", "has space", "x" * 65, "a\tb", "<script>"])
def test_request_ids_that_are_not_plain_are_replaced(client: TestClient, given: str) -> None:
    own = client.get("/v2/health/live", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", own)
