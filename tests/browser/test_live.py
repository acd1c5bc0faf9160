"""The live loop: the last stroke is always in the last picture, whatever happens to the server in between."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from playwright.sync_api import WebSocket, WebSocketRoute

from tests.browser.conftest import OpenStudio, Server, Watch
from tests.browser.studio import Studio, box, difference, png


def header_of(frame: bytes | str) -> dict[str, Any]:
    """Header of a binary frame, or the text message itself."""
    if isinstance(frame, str):
        return dict(json.loads(frame))
    (length,) = struct.unpack_from("<I", frame)
    return dict(json.loads(frame[4 : 4 + length]))


@dataclass
class Wire:
    """Frames of a page's socket in the order in which they passed: `>` sent, `<` received."""

    passed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def attach(self, websocket: WebSocket) -> None:
        websocket.on("framesent", lambda frame: self.passed.append((">", header_of(frame))))
        websocket.on("framereceived", lambda frame: self.passed.append(("<", header_of(frame))))

    def sent(self) -> list[dict[str, Any]]:
        return [header for direction, header in self.passed if direction == ">"]


def test_last_stroke_is_in_the_last_picture(lines: Studio) -> None:
    for k in range(6):
        lines.stroke((30, 40 + 30 * k), (220, 40 + 30 * k), steps=2)
    seed = int(lines.page.input_value("#seed"))
    shown = lines.result()
    expected = lines.translate(lines.save("drawing"), seed)
    # The saved drawing is reduced by the server's filter, not the page's, so edges of lines differ a little.
    assert difference(shown.astype(np.int16), expected.astype(np.int16)) < 2
    blank = lines.translate(png(np.full((256, 256, 3), 255, np.uint8)), seed)
    assert difference(box(shown, 60, 188, 200, 192), box(blank, 60, 188, 200, 192)) > 20


def test_one_request_is_under_way_and_newer_states_replace_waiting_ones(lines: Studio) -> None:
    wire = Wire()
    lines.page.on("websocket", wire.attach)
    lines.page.reload()
    lines.page.wait_for_selector("html[data-ready]")
    lines.settle()
    for k in range(8):
        lines.stroke((30, 40 + 20 * k), (220, 40 + 20 * k), steps=20)
    lines.settle()
    pending: int | None = None
    for direction, header in wire.passed:
        if direction == ">":
            assert pending is None
            pending = header["id"]
        elif "id" in header:
            assert header["id"] == pending
            pending = None
    moves = 8 * 20
    assert len(wire.sent()) < moves


def test_unchanged_drawing_is_not_sent_again(lines: Studio) -> None:
    wire = Wire()
    lines.page.on("websocket", wire.attach)
    lines.page.reload()
    lines.page.wait_for_selector("html[data-ready]")
    lines.clear()
    before = len(wire.sent())
    lines.press("e")
    lines.stroke((60, 60), (120, 120))
    lines.settle()
    assert wire.sent()[before:] == []


def test_manual_mode_waits_for_the_key(lines: Studio) -> None:
    lines.page.click("#badge")
    lines.page.check("[name=live-mode][value=manual]")
    lines.press("Escape")
    before = lines.result()
    lines.stroke((40, 60), (200, 60))
    lines.page.wait_for_timeout(300)
    assert np.array_equal(lines.result(), before)
    lines.press("Control+Enter")
    assert not np.array_equal(lines.result(), before)


def test_stroke_mode_sends_nothing_before_the_pen_is_lifted(lines: Studio) -> None:
    lines.page.click("#badge")
    lines.page.check("[name=live-mode][value=stroke]")
    lines.press("Escape")
    before = lines.result()
    lines.page.mouse.move(*lines.at((40, 60)))
    lines.page.mouse.down()
    lines.page.mouse.move(*lines.at((200, 60)), steps=10)
    lines.page.wait_for_timeout(300)
    assert np.array_equal(lines.canvas("#picture"), before)
    lines.page.mouse.up()
    assert not np.array_equal(lines.result(), before)


def test_badge_tells_device_and_milliseconds(lines: Studio) -> None:
    lines.stroke((40, 60), (200, 60))
    lines.settle()
    lines.wait("/\\d+ ms · CPU/.test(document.querySelector('#badge').textContent)")


def test_server_loss_is_told_and_the_picture_catches_up(open_studio: OpenStudio, mortal_server: Server, watch: Watch) -> None:
    watch.expect("ERR_CONNECTION_REFUSED", "WebSocket connection")
    studio = open_studio("demo-lines", url=mortal_server.url)
    studio.clear()
    before = studio.result()
    mortal_server.kill()
    studio.page.wait_for_selector("#badge[data-state=lost]")
    assert "cannot be reached" in studio.page.inner_text("#banner")
    studio.stroke((40, 60), (200, 60))
    assert box(studio.canvas(".layer-line"), 60, 58, 180, 62).max() == 0
    assert studio.is_enabled("#undo")
    mortal_server.start()
    studio.page.wait_for_selector("#badge[data-state=ready]", timeout=60_000)
    after = studio.result()
    assert difference(box(before, 60, 56, 180, 64), box(after, 60, 56, 180, 64)) > 20
    assert studio.page.is_hidden("#banner")


def test_busy_server_is_asked_again_after_a_while(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-lines")
    refused: list[int] = []

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()

        def refuse_first(frame: bytes | str) -> None:
            if refused:
                upstream.send(frame)
                return
            refused.append(header_of(frame)["id"])
            answer = {"event": "error", "id": refused[0], "status": 429, "code": "queue_full", "title": "", "retry_after": 0.2}
            route.send(json.dumps(answer))

        route.on_message(refuse_first)

    studio.page.route_web_socket("**/live/*", relay)
    studio.page.reload()
    studio.page.wait_for_selector("html[data-ready]")
    before = studio.canvas("#picture")
    studio.stroke((10, 200), (240, 200))
    after = studio.result()
    assert refused
    assert difference(box(before, 20, 196, 230, 204), box(after, 20, 196, 230, 204)) > 20


def test_late_answer_to_another_frame_is_dropped(open_studio: OpenStudio) -> None:
    studio = open_studio("demo-lines")

    def relay(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()
        route.on_message(upstream.send)

        def answer(frame: bytes | str) -> None:
            if isinstance(frame, bytes):
                route.send(stray_frame(header_of(frame)["id"] - 1))
            route.send(frame)
            if isinstance(frame, bytes):
                route.send(stray_frame(header_of(frame)["id"]))

        upstream.on_message(answer)

    studio.page.route_web_socket("**/live/*", relay)
    studio.page.reload()
    studio.page.wait_for_selector("html[data-ready]")
    studio.stroke((10, 200), (240, 200))
    assert studio.result().shape == (256, 256, 3)


def test_picture_that_takes_longer_to_decode_never_replaces_a_newer_one(lines: Studio) -> None:
    before = lines.result()
    lines.page.evaluate(HOLD_FIRST_DECODING)
    lines.press("s")
    lines.wait("window.letGo !== undefined")
    lines.press("s")
    lines.wait("window.decoded > 0")
    newest = lines.canvas("#picture")
    assert not np.array_equal(newest, before)
    lines.page.evaluate("window.letGo()")
    assert np.array_equal(lines.result(), newest)


HOLD_FIRST_DECODING = """() => {
  const decode = window.createImageBitmap;
  let calls = 0;
  window.decoded = 0;
  window.createImageBitmap = async (...given) => {
    const isFirst = calls++ === 0;
    const bitmap = await decode(...given);
    if (isFirst) await new Promise((resolve) => (window.letGo = resolve));
    else setTimeout(() => window.decoded++);
    return bitmap;
  };
}"""


def stray_frame(frame_id: int) -> bytes:
    """A green 8 x 8 answer that nobody waits for."""
    picture = png(np.full((8, 8, 3), (0, 255, 0), np.uint8))
    header = {"id": frame_id, "seed": 0, "type": "image/png", "width": 8, "height": 8, "superseded": 0, "timings": {}}
    encoded = json.dumps(header).encode()
    return struct.pack("<I", len(encoded)) + encoded + picture
