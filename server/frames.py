"""The layout of live frames: header length, JSON header, pictures. Pure; docs/protocol.md is its description."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.errors import BadRequestError

MAX_HEADER_BYTES = 16384
_LENGTH = struct.Struct("<I")


class FrameError(Exception):
    """The frame cannot be taken apart, so that nothing after it can be trusted either."""


class FrameInput(BaseModel):
    """Name and byte length of a picture that follows."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    bytes: int = Field(ge=0)


class FrameHeader(BaseModel):
    """Header of a client's frame."""

    model_config = ConfigDict(extra="forbid")

    id: int = Field(ge=0, le=2**53)
    inputs: list[FrameInput] = Field(min_length=1, max_length=16)
    seed: int | None = None
    mix: Any = None
    """Checked by `latents.py`, which can tell what is wrong with which term."""

    params: dict[str, float | bool] = Field(default_factory=dict)
    type: str = Field("image/jpeg", max_length=64)


@dataclass(frozen=True)
class Frame:
    """A client's frame, taken apart."""

    header: FrameHeader
    pictures: Mapping[str, bytes]


def parse_frame(content: bytes) -> Frame:
    """Takes a client's frame apart.

    Raises:
        FrameError: lengths or JSON are broken.
        BadRequestError: the header is JSON but not a frame's header; carries `id` where it has one.
    """
    if len(content) < _LENGTH.size:
        raise FrameError(f"A frame of {len(content)} bytes has no header length.")
    (length,) = _LENGTH.unpack_from(content)
    body = _LENGTH.size + length
    if length > MAX_HEADER_BYTES or body > len(content):
        raise FrameError(
            f"The header is said to take {length} bytes; at most {MAX_HEADER_BYTES} and no more than the frame has."
        )
    header = _header(content[_LENGTH.size : body])
    if sum(item.bytes for item in header.inputs) != len(content) - body:
        announced = sum(item.bytes for item in header.inputs)
        raise FrameError(f"The header announces {announced} bytes of pictures; {len(content) - body} follow.")
    pictures: dict[str, bytes] = {}
    for item in header.inputs:
        if item.name in pictures:
            raise BadRequestError(f"The input '{item.name}' is in the frame twice; send each input once.", id=header.id)
        pictures[item.name] = content[body : body + item.bytes]
        body += item.bytes
    return Frame(header, pictures)


def _header(text: bytes) -> FrameHeader:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("The frame's header is not JSON.") from None
    try:
        return FrameHeader.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        given = document.get("id") if isinstance(document, dict) else None
        known = {"id": given} if isinstance(given, int) else {}
        raise BadRequestError(f"'{path or 'header'}' of the frame: {first['msg']}.", **known) from None


def build_frame(header: Mapping[str, Any], picture: bytes) -> bytes:
    """Puts a server's frame together."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((_LENGTH.pack(len(text)), text, picture))
