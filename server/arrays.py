"""NumPy's `.npy` files as pixels. The header is read by a pattern of our own and nothing in it is evaluated or unpickled."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from server.errors import BadImageError

MAGIC = b"\x93NUMPY"
MAX_CHANNELS = 16
MAX_HEADER_BYTES = 1024
"""NumPy's own headers of plain arrays have 128 bytes."""

_HEADER_SIZES = {(1, 0): 2, (2, 0): 4}
"""Bytes of the header's length by version of the format. Version 3 is for names of fields, which pixels do not have."""

_ENTRY = r"""\s*['"](?P<{0}>\w+)['"]\s*:\s*(?P<{0}_value>'[^'"]*'|"[^'"]*"|True|False|\([\d,\s]*\))\s*"""
_HEADER = re.compile(r"\{" + ",".join(_ENTRY.format(name) for name in "abc") + r",?\s*\}\s*", re.ASCII)
_VALUES = frozenset({"u1", "u2", "f2", "f4", "f8"})


@dataclass(frozen=True)
class ArrayFile:
    """What a header says, of which the length of the file is not checked yet. `shape` is (H, W, C)."""

    content: bytes
    start: int
    kind: np.dtype[Any]
    shape: tuple[int, int, int]
    order: Literal["C", "F"]

    def pixels(self) -> npt.NDArray[np.uint8]:
        """`(H, W, C)`, uint16 and floats by their full scale.

        Raises:
            BadImageError: the values are too few or too many, or a float is not in [0, 1].
        """
        count = math.prod(self.shape)
        promised, there = count * self.kind.itemsize, len(self.content) - self.start
        if promised != there:
            raise BadImageError(f"The array's header promises {promised} bytes of values and {there} follow; save it again.")
        values = np.frombuffer(self.content, self.kind, count, self.start).reshape(self.shape, order=self.order)
        if self.kind.kind == "f":
            return _from_floats(values)
        if self.kind.itemsize == 2:
            return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return np.ascontiguousarray(values)


def _from_floats(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # also where one is not a number
        raise BadImageError(f"The array's floats are from {low:g} to {high:g}; they must be from 0 to 1, which is white.")
    return np.rint(values.astype(np.float32) * 255).astype(np.uint8)


def is_array(content: bytes) -> bool:
    """Whether these bytes are meant to be a `.npy` file."""
    return content.startswith(MAGIC)


def read_header(content: bytes) -> ArrayFile:
    """Everything about an array but its values.

    Raises:
        BadImageError: names what is wrong with the header, the shape or the kind of values.
    """
    text, start = _header_text(content)
    fields = _fields(text)
    kind = _kind(fields.get("descr"))
    shape = _shape(fields.get("shape"))
    return ArrayFile(content, start, kind, shape, "F" if fields.get("fortran_order") is True else "C")


def _header_text(content: bytes) -> tuple[str, int]:
    size = _HEADER_SIZES.get((content[6], content[7])) if len(content) >= 8 else None
    if size is None:
        raise BadImageError("The array's file is truncated or of an unknown version; save it with numpy.save as a plain array.")
    length = int.from_bytes(content[8 : 8 + size], "little")
    start = 8 + size + length
    if length > MAX_HEADER_BYTES or start > len(content):
        raise BadImageError(f"The array's header has {length} bytes; it must be complete and have {MAX_HEADER_BYTES} at most.")
    return content[8 + size : start].decode("latin-1"), start


def _fields(text: str) -> dict[str, object]:
    found = _HEADER.fullmatch(text)
    fields = {found[name]: _value(found[f"{name}_value"]) for name in "abc"} if found else {}
    if set(fields) != {"descr", "fortran_order", "shape"}:
        raise BadImageError("The array's header is not that of a plain array; save it with numpy.save(file, array).")
    return fields


def _value(text: str) -> object:
    """Text in quotes, True or False, or a tuple of whole numbers; a tuple that is none becomes None."""
    if text.startswith("("):
        numbers = [number.strip() for number in text[1:-1].rstrip(", ").split(",")]
        return tuple(map(int, numbers)) if all(number.isdigit() for number in numbers) else None
    return text == "True" if text[0] in "TF" else text[1:-1]


def _kind(description: object) -> np.dtype[Any]:
    if not isinstance(description, str) or description.lstrip("<>|=") not in _VALUES or len(description) > 3:
        raise BadImageError(f"The array's values are of kind {str(description)[:20]!r}; they must be uint8, uint16 or floats.")
    return np.dtype(description)


def _shape(given: object) -> tuple[int, int, int]:
    shape = given if isinstance(given, tuple) else ()
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or not 1 <= channels <= MAX_CHANNELS or min(shape) < 1:
        raise BadImageError(
            f"The array's shape is {str(given)[:80]}; it must be (height, width) or (height, width, channels) "
            f"with 1 to {MAX_CHANNELS} channels and no side of 0."
        )
    return shape[0], shape[1], channels
