"""WS /live: newest frame wins, clients take turns, nobody else may connect."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from server.engine import Engine
from tests.server import models
from tests.server.conftest import MakeClient, pixels, png
from tests.server.fake import FakeSession
from tests.server.livechat import Answer, frame, raw_frame, read_answer
from tests.server.problem import assert_error


def drawing(shade: int) -> bytes:
    """A sheet of 16 pixels a side whose first pixel is `shade`, which is how the fake session tells sheets apart."""
    sheet = np.full((16, 16), 255, np.uint8)
    sheet[0, 0] = shade
    return png(sheet)


def talk(socket: Any, *frames: bytes) -> Answer:
    """Sends frames and reads one answer."""
    for content in frames:
        socket.send_bytes(content)
    return read_answer(socket.receive_bytes())


def engine_of(client: TestClient) -> Engine:
    engine: Engine = client.app.state.service.engine  # type: ignore[attr-defined]
    return engine


def wait_for(condition: Any) -> None:
    """Until another thread has got there."""
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.002)


def count(client: TestClient, outcome: str) -> float:
    metrics = client.app.state.service.metrics  # type: ignore[attr-defined]
    value: float = metrics.live_frames.labels("copy", outcome)._value.get()
    return value


def test_the_server_says_hello(client: TestClient) -> None:
    with client.websocket_connect("/live/copy") as socket:
        assert socket.receive_json() == {"event": "ready", "model": "copy", "device": "cpu", "max_frame_bytes": 4194304}


def test_a_frame_is_answered_with_a_picture(client: TestClient, cat: bytes) -> None:
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        answer = talk(socket, frame(17, {"image": cat}, seed=7, type="image/png"))
    timings = answer.header.pop("timings")
    assert set(timings) == {"decode", "queue", "infer", "encode"}
    assert answer.header == {
        "id": 17, "seed": 7, "type": "image/png", "width": 16, "height": 16, "superseded": 0, "palette_snapped": None,
        "mix": None,
    }  # fmt: skip
    np.testing.assert_array_equal(pixels(answer.picture), pixels(cat))


def test_jpeg_is_the_default_and_a_seed_is_drawn(client: TestClient, cat: bytes) -> None:
    with client.websocket_connect("/live/noise") as socket:
        socket.receive_json()
        answers = [talk(socket, frame(number, {"lines": cat}, params={"strength": 1})) for number in range(2)]
    assert answers[0].picture.startswith(b"\xff\xd8")
    assert answers[0].header["seed"] != answers[1].header["seed"]


def test_labels_and_several_inputs_are_taken(client: TestClient) -> None:
    with client.websocket_connect("/live/demo-labels") as socket:
        socket.receive_json()
        assert talk(socket, frame(1, {"image": png(models.facade_drawing(32))})).header["palette_snapped"] == 0
    with client.websocket_connect("/live/demo-lines") as socket:
        socket.receive_json()
        pictures = {"image": png(models.cat_drawing(32)), "hints": png(models.hint_dabs(32))}
        assert talk(socket, frame(1, pictures)).header["width"] == 32


def test_a_frame_may_carry_pictures_and_arrays(make_client: MakeClient, tmp_path: Path) -> None:
    models.write_demo_inputs(tmp_path, 32)
    wet = io.BytesIO()
    np.save(wet, models.moisture(32))
    inputs = {"geology": png(models.geology_map(32)), "relief": png(models.relief(32)), "moisture": wet.getvalue()}
    client = make_client(models_dir=(tmp_path,))
    with client.websocket_connect("/live/demo-inputs") as socket:
        socket.receive_json()
        answers = [talk(socket, frame(1, inputs, seed=0, type="image/png"))]
        del inputs["moisture"]
        answers.append(talk(socket, frame(2, inputs, seed=0, type="image/png")))
    samples = [pixels((tmp_path / f"demo-inputs/samples/{number}.png").read_bytes()) for number in (1, 0)]
    for answer, expected in zip(answers, samples, strict=True):
        np.testing.assert_array_equal(pixels(answer.picture), expected)


def test_of_frames_that_wait_the_newest_wins(make_client: MakeClient) -> None:
    session = FakeSession()
    client = make_client(load=lambda _: session)
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        socket.send_bytes(frame(1, {"image": drawing(1)}))
        session.wait_until_running()
        for number in (2, 3, 4, 5):
            socket.send_bytes(frame(number, {"image": drawing(number)}))
        wait_for(lambda: count(client, "received") == 5)
        session.open()
        first, last = read_answer(socket.receive_bytes()), read_answer(socket.receive_bytes())
    assert (first.header["id"], first.header["superseded"]) == (1, 0)
    assert (last.header["id"], last.header["superseded"]) == (5, 3)
    assert session.runs == [[1], [5]]
    assert (count(client, "superseded"), count(client, "rendered")) == (3, 2)


def test_frames_that_were_skipped_before_one_that_fails_are_told_with_the_next_answer(make_client: MakeClient) -> None:
    session = FakeSession()
    client = make_client(load=lambda _: session)
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        socket.send_bytes(frame(1, {"image": drawing(1)}))
        session.wait_until_running()
        for number, content in enumerate((drawing(2), drawing(3), b"rubbish"), 2):
            socket.send_bytes(frame(number, {"image": content}))
        wait_for(lambda: count(client, "received") == 4)
        session.open()
        assert read_answer(socket.receive_bytes()).header["superseded"] == 0
        assert (socket.receive_json()["id"], session.runs) == (4, [[1]])
        assert talk(socket, frame(5, {"image": drawing(5)})).header["superseded"] == 2
        assert talk(socket, frame(6, {"image": drawing(6)})).header["superseded"] == 0


def test_refused_frames_are_counted_by_their_code(make_client: MakeClient) -> None:
    client = make_client()
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        for number in (1, 2):
            socket.send_bytes(frame(number, {"image": b"rubbish"}))
            socket.receive_json()
    assert 'inkwash_rejected_total{code="bad_image"} 2.0' in client.get("/metrics").text


def test_a_frame_whose_turn_is_waited_for_is_overtaken_too(make_client: MakeClient) -> None:
    """Not only while the client's own frame runs: also while it queues behind others."""
    session = FakeSession()
    client = make_client(load=lambda _: session)
    with client.websocket_connect("/live/copy") as busy, client.websocket_connect("/live/copy") as patient:
        busy.receive_json()
        patient.receive_json()
        busy.send_bytes(frame(1, {"image": drawing(100)}))
        session.wait_until_running()
        patient.send_bytes(frame(1, {"image": drawing(1)}))
        wait_for(lambda: engine_of(client).queue_depths()["copy"] == 1)
        patient.send_bytes(frame(2, {"image": drawing(2)}))
        wait_for(lambda: count(client, "received") == 3)
        session.open()
        assert read_answer(patient.receive_bytes()).header["id"] == 2
    assert session.runs == [[100], [2]]


def test_clients_take_turns_and_the_quick_one_starves_nobody(make_client: MakeClient) -> None:
    session = FakeSession()
    client = make_client(load=lambda _: session)
    with client.websocket_connect("/live/copy") as quick, client.websocket_connect("/live/copy") as slow:
        quick.receive_json()
        slow.receive_json()
        quick.send_bytes(frame(1, {"image": drawing(1)}))
        session.wait_until_running()
        slow.send_bytes(frame(1, {"image": drawing(200)}))
        wait_for(lambda: engine_of(client).queue_depths()["copy"] == 1)
        for number in range(2, 9):
            quick.send_bytes(frame(number, {"image": drawing(number)}))
        wait_for(lambda: count(client, "received") == 9)
        session.open()
        assert read_answer(slow.receive_bytes()).header["id"] == 1
        assert [read_answer(quick.receive_bytes()).header["id"] for _ in range(2)] == [1, 8]
    assert session.runs[1] == [200]


def test_clients_see_only_their_own_pictures(client: TestClient) -> None:
    with client.websocket_connect("/live/copy") as one, client.websocket_connect("/live/copy") as two:
        for socket in (one, two):
            socket.receive_json()
        for number in range(5):
            one.send_bytes(frame(number, {"image": drawing(10 + number)}, type="image/png"))
            two.send_bytes(frame(number, {"image": drawing(200 + number)}, type="image/png"))
            assert pixels(read_answer(one.receive_bytes()).picture)[0, 0] == 10 + number
            assert pixels(read_answer(two.receive_bytes()).picture)[0, 0] == 200 + number


@pytest.mark.parametrize(
    ("content", "code", "status"),
    [
        (frame(9, {"image": b"rubbish"}), "bad_image", 400),
        (frame(9, {"mask": b"x"}), "unknown_input", 422),
        (frame(9, {"hints": png(models.hint_dabs(32))}), "missing_input", 422),
        (frame(9, {"image": drawing(1)}, seed=-1), "bad_parameter", 422),
        (frame(9, {"image": drawing(1)}, params={"speed": 1}), "bad_parameter", 422),
        (frame(9, {"image": drawing(1)}, type="image/gif"), "bad_parameter", 422),
        (frame(9, {"image": drawing(1)}, extra=1), "bad_request", 400),
    ],
)
def test_a_frame_that_is_wrong_is_told_and_the_socket_stays_open(
    client: TestClient, content: bytes, code: str, status: int
) -> None:
    with client.websocket_connect("/live/demo-lines") as socket:
        socket.receive_json()
        socket.send_bytes(content)
        error = socket.receive_json()
        assert (error["event"], error["id"], error["code"], error["status"]) == ("error", 9, code, status)
        assert error["detail"]
        assert error["title"]
        assert talk(socket, frame(10, {"image": png(models.cat_drawing(32))})).header["id"] == 10


def test_a_model_that_fails_is_told_for_each_frame(make_client: MakeClient) -> None:
    def refuse(_: object) -> FakeSession:
        raise RuntimeError("no")

    client = make_client(load=refuse)
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        for number in (1, 2):
            socket.send_bytes(frame(number, {"image": drawing(1)}))
            error = socket.receive_json()
            assert (error["id"], error["code"], error["status"]) == (number, "model_failed", 503)
            assert error["retry_after"] >= 1


def test_a_live_picture_has_a_bound_of_its_own(make_client: MakeClient) -> None:
    client = make_client(max_frame_pixels=100)
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        socket.send_bytes(frame(1, {"image": drawing(1)}))
        assert socket.receive_json()["code"] == "image_too_large"


@pytest.mark.parametrize(
    ("send", "close_code"),
    [
        (lambda socket: socket.send_bytes(b"\x01"), 1008),
        (lambda socket: socket.send_bytes(raw_frame(b"{")), 1008),
        (lambda socket: socket.send_text("hello"), 1003),
    ],
)
def test_what_cannot_be_parsed_ends_the_talk(client: TestClient, send: Any, close_code: int) -> None:
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        send(socket)
        error = socket.receive_json()
        assert (error["event"], error["id"], error["code"]) == ("error", None, "bad_request")
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_bytes()
        assert caught.value.code == close_code


def test_a_frame_that_is_too_long_ends_the_talk(make_client: MakeClient) -> None:
    client = make_client(max_frame_bytes=2000)
    with client.websocket_connect("/live/copy") as socket:
        assert socket.receive_json()["max_frame_bytes"] == 2000
        socket.send_bytes(b"x" * 2001)
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_bytes()
        assert caught.value.code == 1009


def test_an_idle_socket_is_closed(make_client: MakeClient) -> None:
    client = make_client(idle_timeout_seconds=0.05)
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_bytes()
        assert caught.value.code == 1001


def test_sockets_are_told_of_a_restart(make_client: MakeClient) -> None:
    client = make_client()
    with client.websocket_connect("/live/copy") as socket:
        socket.receive_json()
        assert client.portal is not None
        client.portal.call(client.app.state.service.live.close)  # type: ignore[attr-defined]
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_bytes()
        assert caught.value.code == 1012


def refused(client: TestClient, path: str = "/live/copy", **headers: str) -> Any:
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect(path, headers=headers):
        pass
    return caught.value


def test_pages_of_other_origins_are_refused_before_the_handshake(client: TestClient) -> None:
    for origin in ("https://evil.example", "http://testserver.evil.example", "null", "http://testserver:81"):
        assert_error(refused(client, Origin=origin), 403, "origin_refused")


def test_pages_of_this_origin_and_named_ones_may_connect(make_client: MakeClient) -> None:
    client = make_client(allowed_origins=("https://friend.example",))
    for origin in ("http://testserver", "https://testserver", "https://friend.example"):
        with client.websocket_connect("/live/copy", headers={"Origin": origin}) as socket:
            assert socket.receive_json()["event"] == "ready"


def test_an_unknown_model_is_refused_before_the_handshake(client: TestClient) -> None:
    assert "copy" in assert_error(refused(client, "/live/cats"), 404, "unknown_model")["models"]


def test_sockets_are_bounded_in_all_and_by_address(make_client: MakeClient) -> None:
    for limits in ({"max_connections": 1}, {"max_connections_per_address": 1}):
        client = make_client(**limits)
        with client.websocket_connect("/live/copy") as socket:
            socket.receive_json()
            assert_error(refused(client), 429, "too_many_connections")
        with client.websocket_connect("/live/copy") as socket:
            assert socket.receive_json()["event"] == "ready"


def test_a_stopping_server_takes_no_sockets(make_client: MakeClient) -> None:
    client = make_client()
    engine_of(client).drain()
    assert_error(refused(client), 503, "shutting_down")


def test_a_client_that_leaves_is_forgotten(make_client: MakeClient) -> None:
    session = FakeSession()
    client = make_client(load=lambda _: session)
    with client.websocket_connect("/live/copy") as busy:
        busy.receive_json()
        busy.send_bytes(frame(1, {"image": drawing(1)}))
        session.wait_until_running()
        with client.websocket_connect("/live/copy") as leaving:
            leaving.receive_json()
            leaving.send_bytes(frame(1, {"image": drawing(2)}))
            wait_for(lambda: engine_of(client).queue_depths()["copy"] == 1)
        wait_for(lambda: engine_of(client).queue_depths()["copy"] == 0)
        session.open()
        assert read_answer(busy.receive_bytes()).header["id"] == 1
    assert session.runs == [[1]]
    gauge = client.app.state.service.metrics.live_connections.labels("copy")  # type: ignore[attr-defined]
    wait_for(lambda: gauge._value.get() == 0)
