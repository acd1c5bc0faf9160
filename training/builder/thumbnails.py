"""Pictures in small for a page: fitted, clear parts on a checkerboard, a box drawn where one is told. It chooses none."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

CHECK_PX = 8
CHECK_GRAYS = (232, 250)
BOX_COLOR = "#e0341e"

Box = Sequence[float]
"""Left, top, right, bottom, in pixels of the picture."""


def thumbnail(path: Path, side: int, box: Box | None = None) -> Image.Image | None:
    """A picture, upright, within a square of `side` pixels; None where it cannot be read."""
    try:
        with Image.open(path) as picture:
            width = picture.width
            picture.draft("RGB", (2 * side, 2 * side))  # JPEG only: decodes at a fraction where that is enough
            scale = picture.width / width
            upright = ImageOps.exif_transpose(picture)
            small = on_checkerboard(ImageOps.contain(upright.convert("RGBA"), (side, side)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # SyntaxError: Pillow's, of broken PNGs
        return None
    if box is not None:
        _outline(small, [edge * scale * small.width / upright.width for edge in box])
    return small


def on_checkerboard(picture: Image.Image) -> Image.Image:
    """RGBA as RGB, with the pattern that stands for nothing behind it."""
    rows, columns = np.mgrid[: picture.height, : picture.width] // CHECK_PX
    board = Image.fromarray(np.choose((rows + columns) % 2, CHECK_GRAYS).astype(np.uint8)).convert("RGBA")
    return Image.alpha_composite(board, picture).convert("RGB")


def data_url(picture: Image.Image) -> str:
    """A picture as an address that holds it."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=82)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _outline(picture: Image.Image, box: Box) -> None:
    left, top, right, bottom = box
    edges = (max(left, 0), max(top, 0), min(right, picture.width) - 1, min(bottom, picture.height) - 1)
    if edges[0] < edges[2] and edges[1] < edges[3]:
        ImageDraw.Draw(picture).rectangle(edges, outline=BOX_COLOR, width=2)
