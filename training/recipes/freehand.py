"""Freehand strokes: smooth curves through a few points on a 256 px sheet, with the slow wobble of a hand. No file is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.datasets import ImagesU8

SHEET = 256
OVERSAMPLING = 4
WOBBLE_PX = 0.8

Point = tuple[float, float]
Stroke = list[Point]


@dataclass(frozen=True)
class Dab:
    """A spot of colour: centre and radius on the sheet, RGB."""

    x: float
    y: float
    radius: float
    color: tuple[int, int, int]


def ink(strokes: Sequence[Stroke], size: int, line_width_px: float) -> ImagesU8:
    """Draws strokes as round pen lines: (size, size, 1), 0 ink on 255 paper, anti-aliased."""
    side = size * OVERSAMPLING
    canvas = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(canvas)
    radius, scale = line_width_px * OVERSAMPLING / 2, side / SHEET
    for index, stroke in enumerate(strokes):
        for x, y in _densely(_wobbled(stroke, np.random.default_rng(index))):
            pen.ellipse((x * scale - radius, y * scale - radius, x * scale + radius, y * scale + radius), fill=0)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))[..., None]


def paint(dabs: Sequence[Dab], size: int) -> ImagesU8:
    """Draws hint dabs: (size, size, 4), alpha 0 where nothing is hinted."""
    canvas = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    brush, scale = ImageDraw.Draw(canvas), size / SHEET
    for dab in dabs:
        box = [scale * value for value in (dab.x - dab.radius, dab.y - dab.radius, dab.x + dab.radius, dab.y + dab.radius)]
        brush.ellipse(box, fill=(*dab.color, 255))
    return np.asarray(canvas)


def curve(points: Sequence[Point], steps: int = 12) -> Stroke:
    """A Catmull-Rom curve through all points; closed when the last point is the first."""
    is_closed = points[0] == points[-1]
    before, after = (points[-2], points[1]) if is_closed else (points[0], points[-1])
    controls = np.array([before, *points, after], dtype=float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [_segment(controls[k : k + 4], t) for k in range(len(controls) - 3)]
    return [(float(x), float(y)) for x, y in [*np.concatenate(pieces), controls[-2]]]


def _segment(p: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    """One Catmull-Rom piece from p[1] to p[2] at t in [0, 1]."""
    a, b, c = p[2] - p[0], 2 * p[0] - 5 * p[1] + 4 * p[2] - p[3], 3 * (p[1] - p[2]) + p[3] - p[0]
    curve: NDArray[np.float64] = 0.5 * (2 * p[1] + a * t + b * t**2 + c * t**3)
    return curve


def with_corners(points: Sequence[Point], corners: Sequence[int]) -> Stroke:
    """A curve that is sharp at the given points."""
    cuts = [0, *corners, len(points) - 1]
    return [point for start, end in pairwise(cuts) for point in curve(points[start : end + 1])]


def polygon(points: Sequence[Point]) -> Stroke:
    """Straight lines from point to point."""
    return [point for start, end in pairwise(points) for point in curve([start, end])]


def ring(x: float, y: float, radius_x: float, radius_y: float) -> Stroke:
    """An ellipse whose ends overlap a little, as hands close them."""
    turns = np.linspace(0, 2 * math.pi * 1.02, 40)
    return [(x + radius_x * math.cos(turn), y + radius_y * math.sin(turn)) for turn in turns]


def _wobbled(stroke: Stroke, generator: np.random.Generator) -> Stroke:
    """Moves points by two slow sines in random phase, as an unsteady hand does."""
    phases, rates = generator.uniform(0, 2 * math.pi, 4), generator.uniform(0.05, 0.14, 4)

    def drift(k: int, axis: int) -> float:
        return WOBBLE_PX * sum(math.sin(phases[axis + j] + rates[axis + j] * 2 * k) for j in (0, 2))

    return [(x + drift(k, 0), y + drift(k, 1)) for k, (x, y) in enumerate(stroke)]


def _densely(stroke: Stroke) -> Stroke:
    """Adds points so that neighbours lie within half a pixel of the sheet."""
    dense = [stroke[0]]
    for (x0, y0), (x1, y1) in pairwise(stroke):
        count = max(1, math.ceil(2 * math.hypot(x1 - x0, y1 - y0)))
        dense.extend((x0 + (x1 - x0) * k / count, y0 + (y1 - y0) * k / count) for k in range(1, count + 1))
    return dense
