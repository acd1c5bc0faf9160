"""What of TIFF is let through to Pillow: one page of plain gray or RGB. It decodes nothing.

TIFF is a container of many codecs, of any number of pages and of tables of any length; Pillow walks through all of them when a
file is opened. So the first page's table is judged here before, and the link to the next page is cut.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NoReturn

from PIL import Image

from server.errors import BadImageError

_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
"""Byte order by the first bytes. BigTIFF, for files of more than 4 GB, is left out."""

MAX_ENTRIES = 256
MAX_PIECES = 2**16
"""Strips or tiles of a page; Pillow makes an object for each. 16 megapixels in strips of one row have a tenth of it."""

MAX_TILE_SIDE = 4096
_COMPRESSION, _PHOTOMETRIC, _BITS = 259, 262, 258
_PIECES = {273: "strips", 279: "strips", 324: "tiles", 325: "tiles"}
_TILE_SIDES = (322, 323)
_SINGLE = {256, 257, _COMPRESSION, _PHOTOMETRIC, 266, 274, 277, 278, 284, *_TILE_SIDES}
"""Entries that hold one whole number. Of more Pillow only warns, in words that always differ and that Python keeps."""

_SHORT, _LONG = 3, 4

COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate"}
_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "I;16B")


def is_tiff(content: bytes) -> bool:
    """Whether these bytes are meant to be a TIFF file of the usual kind."""
    return content[:4] in _ORDERS


def first_page(content: bytes) -> bytes:
    """The file without the link to its second page.

    Raises:
        BadImageError: the page's table is damaged, or names what is not accepted.
    """
    order = _ORDERS[content[:4]]
    try:
        (table,) = struct.unpack_from(f"{order}L", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, table)
        if not 1 <= count <= MAX_ENTRIES:
            _refuse(f"has {count} entries in its table and may have {MAX_ENTRIES}")
        for tag, kind, length, value in _entries(content, order, table + 2, count):
            _check_entry(tag, kind, length, value)
        link = table + 2 + 12 * count
        struct.unpack_from(f"{order}L", content, link)
    except struct.error:
        raise BadImageError("The TIFF file is truncated; save it again and resend it.") from None
    return content if not any(content[link : link + 4]) else content[:link] + bytes(4) + content[link + 4 :]


def _entries(content: bytes, order: str, start: int, count: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, number of values, and the value itself where it is a single one of 2 or 4 bytes."""
    for place in range(start, start + 12 * count, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHL", content, place)
        (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'L'}", content, place + 8)
        yield tag, kind, length, value


def _check_entry(tag: int, kind: int, length: int, value: int) -> None:
    if tag in _SINGLE and (kind not in (_SHORT, _LONG) or length != 1):
        _refuse(f"is damaged at its entry {tag}")
    if tag == _COMPRESSION and value not in COMPRESSIONS:
        _refuse(f"is compressed by method {value}; send it uncompressed or with LZW or deflate")
    if tag in _TILE_SIDES and not 1 <= value <= MAX_TILE_SIDE:
        _refuse(f"is cut into tiles of {value} pixels a side and may have {MAX_TILE_SIDE}")
    if tag in _PIECES and length > MAX_PIECES:
        _refuse(f"is cut into {length} {_PIECES[tag]} and may have {MAX_PIECES}")


def check_mode(image: Image.Image) -> None:
    """Refuses what Pillow opens and nobody here gives a meaning to, before its pixels are decoded.

    Raises:
        BadImageError: names the mode.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, photometric = set(tags.get(_BITS, (1,))), tags.get(_PHOTOMETRIC)
    is_inverted = photometric == 0 and image.mode != "L"  # Pillow turns over 8 bits only
    if image.mode not in _MODES or bits not in ({8}, {16}) or photometric not in (0, 1, 2) or is_inverted:
        named = "/".join(map(str, sorted(bits)))
        _refuse(f"holds pixels of mode {image.mode} with {named} bits; send gray or RGB of 8 or 16 bits, or a NumPy array")


def _refuse(what: str) -> NoReturn:
    raise BadImageError(f"The TIFF file {what}.")
