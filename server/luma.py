"""Puts the colour of a small picture under the luma of a large photo. Pure; works in bands that fit into a processor's cache.

One thread does it: a band's steps are so short that two threads spend what they gain on handing the interpreter to each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from server.imaging import Pixels

COLOR_PIXELS = 2**20
"""A larger picture is shrunk first: chroma between its pixels is led by luma anyway, and memory stays bounded."""

WHOLE_PIXELS = 2**18
"""A photo of the picture's own size and no more pixels than this is painted at once, which takes a millisecond."""

GUIDE_RADIUS = 3
"""Radius of the windows in which chroma is a straight line of luma, in pixels of the small picture."""

GUIDE_SMOOTHING = 16.0
"""Variance of luma (steps squared) below which a window counts as flat, so that noise and paper grain draw no colour."""

RED_SHARE, GREEN_SHARE, BLUE_SHARE = 0.299, 0.587, 0.114
"""Of BT.601 luma."""

Plane = npt.NDArray[np.float32]
Line = tuple[Plane, Plane]
"""Slope and offset."""


def recompose(luma: Pixels, picture: Pixels) -> Pixels:
    """Colours `luma` (H, W) like `picture` (h, w, 3) and returns `(H, W, 3)` with the same luma.

    Chroma follows the edges of a larger luma by a guided filter (He, Sun, Tang 2013; the fast form that solves for its
    coefficients at the small size). Colours that would leave [0, 255] are paled, never clipped, because clipping changes luma.
    """
    height, width = luma.shape
    small = _shrunk(picture, luma)
    if small.shape[:2] == luma.shape and luma.size <= WHOLE_PIXELS:
        return _of_one_size(luma, small)
    lines = [(_widened(slope, width), _widened(offset, width)) for slope, offset in _chroma_lines(luma, small)]
    colored = np.empty((height, width, 3), np.uint8)
    for top, bottom, row, shares in _bands(height, lines[0][0].shape[0]):
        gray = luma[top:bottom].astype(np.float32)
        red, blue = (_chroma(gray, line, row, shares) for line in lines)
        _paint(colored[top:bottom], gray, red, blue)
    return colored


def _of_one_size(luma: Pixels, picture: Pixels) -> Pixels:
    """The picture's chroma as it is: where no pixel has to be made up, nothing has to be led by luma."""
    colored, gray = np.empty(picture.shape, np.uint8), luma.astype(np.float32)
    red, blue = _own_chroma(picture)
    _paint(colored, gray, red, blue)
    return colored


def _own_chroma(picture: Pixels) -> tuple[Plane, Plane]:
    """R - Y and B - Y."""
    red, green, blue = np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32)
    own_luma = np.float32(RED_SHARE) * red
    own_luma += np.float32(GREEN_SHARE) * green
    own_luma += np.float32(BLUE_SHARE) * blue
    red -= own_luma
    blue -= own_luma
    return red, blue


def _shrunk(picture: Pixels, luma: Pixels) -> Pixels:
    """No larger than the photo on either side, and bounded."""
    scale = min(1.0, math.sqrt(COLOR_PIXELS / (picture.shape[0] * picture.shape[1])))
    height, width = (min(own, max(1, int(side * scale))) for own, side in zip(luma.shape, picture.shape[:2], strict=True))
    if (height, width) == picture.shape[:2]:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))


def _chroma_lines(luma: Pixels, picture: Pixels) -> tuple[Line, Line]:
    """R - Y, then B - Y, as straight lines of luma around each pixel of the small picture."""
    small_size = (picture.shape[1], picture.shape[0])
    guide = np.asarray(Image.fromarray(luma).resize(small_size, Image.Resampling.BOX), np.float32)
    guide_mean = _mean(guide)
    smoothed_variance = _mean(guide * guide) - guide_mean * guide_mean + GUIDE_SMOOTHING

    def line(chroma: Plane) -> Line:
        chroma_mean = _mean(chroma)
        slope = (_mean(guide * chroma) - guide_mean * chroma_mean) / smoothed_variance
        return _mean(slope), _mean(chroma_mean - slope * guide_mean)

    red, blue = _own_chroma(picture)
    return line(red), line(blue)


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


def _widened(plane: Plane, width: int) -> Plane:
    return np.asarray(Image.fromarray(plane).resize((width, plane.shape[0]), Image.Resampling.BILINEAR))


def _bands(height: int, small_height: int) -> Iterator[tuple[int, int, int, Plane]]:
    """Rows `top` to `bottom` of the photo, which lie between the small picture's `row` and the next, and how far each does."""
    places = np.clip((np.arange(height) + 0.5) * (small_height / height) - 0.5, 0, small_height - 1)
    rows = places.astype(np.intp)
    shares = (places - rows).astype(np.float32)[:, None]
    edges = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), height]
    for top, bottom in itertools.pairwise(edges):
        yield top, bottom, int(rows[top]), shares[top:bottom]


def _chroma(gray: Plane, line: Line, row: int, shares: Plane) -> Plane:
    """slope * gray + offset, both between two rows of the small picture."""
    slope, offset = (_between(plane, row, shares) for plane in line)
    slope *= gray
    slope += offset
    return slope


def _between(plane: Plane, row: int, shares: Plane) -> Plane:
    upper, lower = plane[row], plane[min(row + 1, len(plane) - 1)]
    rows: Plane = (lower - upper) * shares
    rows += upper
    return rows


def _paint(target: Pixels, gray: Plane, red: Plane, blue: Plane) -> None:
    """Writes `gray` plus its chroma, where R - Y and B - Y decide G - Y."""
    green = red * np.float32(-RED_SHARE / GREEN_SHARE)
    green += blue * np.float32(-BLUE_SHARE / GREEN_SHARE)
    _pale(gray, (red, green, blue))
    gray += np.float32(0.5)  # uint8 cuts fractions off
    for channel, chroma in enumerate((red, green, blue)):
        np.add(gray, chroma, out=target[:, :, channel], casting="unsafe")


def _pale(gray: Plane, chromas: tuple[Plane, Plane, Plane]) -> None:
    """Scales all three down where one would leave [0, 255]; of a photo the few pixels that are nearly black or white."""
    highest = np.maximum(np.maximum(chromas[0], chromas[1]), chromas[2])
    lowest = np.minimum(np.minimum(chromas[0], chromas[1]), chromas[2])
    outside = np.flatnonzero((highest + gray > 255) | (lowest + gray < 0))
    if outside.size == 0:
        return
    room = gray.ravel()[outside]
    above = (255 - room) / np.maximum(highest.ravel()[outside], 1e-6)
    below = room / np.maximum(-lowest.ravel()[outside], 1e-6)
    scale = np.minimum(np.minimum(above, below), 1)
    for chroma in chromas:
        chroma.ravel()[outside] *= scale
