"""Puts the colour of a small picture under the luma of a large photo. Pure, and bounded in memory by working in strips."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from server.imaging import Pixels

STRIP_PIXELS = 2**20
"""Pixels worked on at a time: about 50 MB of float32 planes."""

GUIDE_RADIUS = 3
"""Radius of the windows in which chroma is a straight line of luma, in pixels of the small picture."""

GUIDE_SMOOTHING = 16.0
"""Variance of luma (steps squared) below which a window counts as flat, so that noise and paper grain draw no colour."""

Plane = npt.NDArray[np.float32]


def recompose(luma: Pixels, picture: Pixels) -> Pixels:
    """Colours `luma` (H, W) like `picture` (h, w, 3) and returns `(H, W, 3)` with the same luma.

    Chroma follows the edges of the large luma by a guided filter (He, Sun, Tang 2013; the fast form that solves for its
    coefficients at the small size). Colours that would leave [0, 255] are paled, never clipped, because clipping changes luma.
    """
    height, width = luma.shape
    coefficients = _coefficients(luma, picture)
    colored = np.empty((height, width, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        strip = luma[top:bottom].astype(np.float32)
        slopes = [_enlarged(plane, (width, height), top, bottom) for plane in coefficients]
        blue, red = slopes[0] * strip + slopes[1], slopes[2] * strip + slopes[3]
        colored[top:bottom] = _to_rgb(strip, blue, red)
    return colored


def _coefficients(luma: Pixels, picture: Pixels) -> list[Plane]:
    """Slope and offset of Cb, then of Cr, as straight lines of luma around each pixel of the small picture."""
    small_size = (picture.shape[1], picture.shape[0])
    guide = np.asarray(Image.fromarray(luma).resize(small_size, Image.Resampling.BOX), np.float32)
    red, green, blue = (picture[:, :, channel].astype(np.float32) for channel in range(3))
    own_luma = 0.299 * red + 0.587 * green + 0.114 * blue
    guide_mean = _mean(guide)
    variance = _mean(guide * guide) - guide_mean * guide_mean
    planes: list[Plane] = []
    for chroma in ((blue - own_luma) / 1.772, (red - own_luma) / 1.402):
        chroma_mean = _mean(chroma)
        slope = (_mean(guide * chroma) - guide_mean * chroma_mean) / (variance + GUIDE_SMOOTHING)
        planes += [_mean(slope), _mean(chroma_mean - slope * guide_mean)]
    return planes


def _mean(plane: npt.NDArray[np.floating[Any]]) -> Plane:
    """Mean over windows of GUIDE_RADIUS, windows at the border shortened."""
    blurred: Plane = plane.astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(blurred, [(GUIDE_RADIUS + 1, GUIDE_RADIUS) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        sums = np.cumsum(padded, axis=axis, dtype=np.float64)
        size = 2 * GUIDE_RADIUS + 1
        later, earlier = (sums[size:], sums[:-size]) if axis == 0 else (sums[:, size:], sums[:, :-size])
        blurred = ((later - earlier) / size).astype(np.float32)
    return blurred


def _enlarged(plane: Plane, size: tuple[int, int], top: int, bottom: int) -> Plane:
    """Rows `top` to `bottom` of `plane` scaled to `size` (width, height)."""
    width, height = size
    rows = plane.shape[0] / height
    box = (0.0, top * rows, float(plane.shape[1]), min(float(plane.shape[0]), bottom * rows))
    strip = Image.fromarray(plane).resize((width, bottom - top), Image.Resampling.BILINEAR, box=box)
    return np.asarray(strip, np.float32)


def _to_rgb(luma: Plane, blue_chroma: Plane, red_chroma: Plane) -> Pixels:
    """BT.601, full range; chroma is scaled down where a channel would leave [0, 255]."""
    shifts = (1.402 * red_chroma, -0.344136 * blue_chroma - 0.714136 * red_chroma, 1.772 * blue_chroma)
    highest = np.maximum(np.maximum(shifts[0], shifts[1]), shifts[2])
    lowest = np.minimum(np.minimum(shifts[0], shifts[1]), shifts[2])
    room_above = (255.0 - luma) / np.maximum(highest, 1e-6)
    room_below = luma / np.maximum(-lowest, 1e-6)
    scale = np.minimum(np.minimum(room_above, room_below), 1.0)
    colors = np.stack([luma + shift * scale for shift in shifts], axis=2)
    return (colors.clip(0, 255) + 0.5).astype(np.uint8)
