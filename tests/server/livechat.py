"""The client's side of the live protocol, for tests."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any


def frame(frame_id: int, pictures: dict[str, bytes], **header: Any) -> bytes:
    """A client's frame."""
    inputs = [{"name": name, "bytes": len(content)} for name, content in pictures.items()]
    return raw_frame(json.dumps({"id": frame_id, "inputs": inputs, **header}).encode(), b"".join(pictures.values()))


def raw_frame(header: bytes, rest: bytes = b"") -> bytes:
    """A frame of any header, right or wrong."""
    return struct.pack("<I", len(header)) + header + rest


@dataclass(frozen=True)
class Answer:
    """A server's frame."""

    header: dict[str, Any]
    picture: bytes


def read_answer(content: bytes) -> Answer:
    """Takes a server's frame apart."""
    (length,) = struct.unpack_from("<I", content)
    return Answer(json.loads(content[4 : 4 + length]), content[4 + length :])
