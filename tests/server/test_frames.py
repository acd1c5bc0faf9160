from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import BadRequestError
from server.frames import MAX_HEADER_BYTES, FrameError, build_frame, parse_frame
from tests.server.livechat import frame, raw_frame, read_answer


def test_a_frame_is_taken_apart() -> None:
    parsed = parse_frame(frame(5, {"image": b"abc", "hints": b"de"}, seed=7, type="image/png"))
    assert parsed.pictures == {"image": b"abc", "hints": b"de"}
    assert (parsed.header.id, parsed.header.seed, parsed.header.type) == (5, 7, "image/png")


def test_what_is_built_can_be_read() -> None:
    answer = read_answer(build_frame({"id": 3}, b"picture"))
    assert (answer.header, answer.picture) == ({"id": 3}, b"picture")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        b"\xff\xff\xff\xff{}",
        raw_frame(b"not json"),
        raw_frame(b"[" * 9000),
        raw_frame(b" " * (MAX_HEADER_BYTES + 1)),
        frame(1, {"image": b"abc"}) + b"more",
        frame(1, {"image": b"abc"})[:-1],
    ],
)
def test_a_frame_that_cannot_be_taken_apart_is_told_from_one_that_is_wrong(content: bytes) -> None:
    with pytest.raises(FrameError):
        parse_frame(content)


@pytest.mark.parametrize(
    ("header", "frame_id"),
    [
        ({"id": 4, "inputs": []}, 4),
        ({"id": 4, "inputs": [{"name": "image", "bytes": -1}]}, 4),
        ({"id": 4, "inputs": [{"name": "image", "bytes": 0}], "colour": 1}, 4),
        ({"id": "x", "inputs": [{"name": "image", "bytes": 0}]}, None),
        ({"inputs": [{"name": "image", "bytes": 0}]}, None),
        ([], None),
        ({"id": 4, "inputs": [{"name": "image", "bytes": 0}, {"name": "image", "bytes": 0}]}, 4),
    ],
)
def test_a_header_that_is_wrong_is_refused_with_its_id(header: object, frame_id: int | None) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_frame(raw_frame(json.dumps(header).encode()))
    assert caught.value.members.get("id") == frame_id


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_parsed_or_refused(content: bytes) -> None:
    with contextlib.suppress(FrameError, BadRequestError):
        assert parse_frame(content).header.id >= 0
