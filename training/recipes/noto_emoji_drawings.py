"""Freehand drawings for the `noto-emoji` model's gallery: our own, in no training set, so that they also judge the model.

Strokes are smooth curves through a few points on a 256 px sheet, with the slow wobble of a hand. No file is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.datasets import ImagesU8
from training.recipes.recipe import Drawing

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


def drawings(size: int, line_width_px: float | None) -> tuple[Drawing, ...]:
    """All drawings at `size` pixels, lines `line_width_px` wide there (3 % of the side when not known)."""
    width = line_width_px or 0.03 * size
    makers: Sequence[tuple[str, str, Callable[[], list[Stroke]], tuple[Dab, ...]]] = (
        ("Cat", "ねこ", _cat, ()),
        ("Cat with colour hints", "ねこ(色指定)", _cat, _CAT_DABS),
        ("Mug", "マグカップ", _mug, _MUG_DABS),
        ("House", "家", _house, ()),
        ("Flower", "花", _flower, _FLOWER_DABS),
        ("Fish", "さかな", _fish, _FISH_DABS),
    )
    return tuple(
        Drawing(
            title={"en": english, "ja": japanese},
            inputs={"image": _ink(make(), size, width), "hints": _paint(dabs, size)},
        )
        for english, japanese, make, dabs in makers
    )


def _cat() -> list[Stroke]:
    head = [
        (62, 92),
        (60, 40),
        (98, 66),
        (128, 62),
        (158, 66),
        (196, 40),
        (196, 94),
        (212, 140),
        (196, 190),
        (150, 220),
        (106, 220),
        (60, 190),
        (45, 140),
        (62, 92),
    ]
    return [
        _with_corners(head, corners=(1, 2, 4, 5)),
        _ring(97, 130, 9, 13), _ring(97, 131, 4, 7), _ring(160, 130, 9, 13), _ring(160, 131, 4, 7),
        _curve([(118, 158), (129, 156), (139, 158)]), _with_corners([(118, 158), (129, 170), (139, 158)], (1,)),
        _curve([(129, 170), (127, 181), (115, 187), (103, 181)]), _curve([(129, 170), (131, 181), (143, 187), (155, 181)]),
        _curve([(84, 160), (52, 153), (24, 156)]), _curve([(84, 171), (54, 174), (30, 184)]),
        _curve([(174, 160), (206, 152), (234, 155)]), _curve([(174, 171), (204, 173), (230, 183)]),
        _curve([(116, 66), (117, 88)]), _curve([(129, 64), (129, 94)]), _curve([(142, 66), (141, 88)]),
    ]  # fmt: skip


def _mug() -> list[Stroke]:
    return [
        _ring(112, 82, 66, 17),
        _curve([(46, 84), (48, 130), (53, 186), (66, 208), (112, 218), (158, 208), (171, 186), (176, 130), (178, 84)]),
        _curve([(177, 106), (206, 98), (226, 116), (224, 148), (204, 170), (174, 172)]),
        _curve([(177, 124), (198, 118), (207, 130), (204, 146), (192, 154), (175, 156)]),
        _curve([(88, 50), (80, 38), (92, 28), (86, 14)]), _curve([(126, 50), (118, 38), (130, 28), (124, 14)]),
    ]  # fmt: skip


def _house() -> list[Stroke]:
    return [
        _polygon([(56, 122), (56, 220), (200, 220), (200, 122)]),
        _polygon([(30, 130), (128, 42), (226, 130), (30, 130)]),
        _polygon([(168, 74), (168, 40), (192, 40), (192, 97)]),
        _polygon([(110, 220), (110, 160), (148, 160), (148, 220)]), _ring(139, 192, 2.5, 2.5),
        _polygon([(70, 150), (98, 150), (98, 180), (70, 180), (70, 150)]), _curve([(84, 150), (84, 180)]),
        _curve([(70, 165), (98, 165)]),
        _polygon([(160, 150), (188, 150), (188, 180), (160, 180), (160, 150)]), _curve([(174, 150), (174, 180)]),
        _curve([(160, 165), (188, 165)]),
        _ring(128, 96, 13, 13),
    ]  # fmt: skip


def _flower() -> list[Stroke]:
    center_x, center_y, strokes = 128.0, 88.0, [_ring(128, 88, 20, 19)]
    for k in range(6):
        turn = 2 * math.pi * k / 6 + 0.26
        petal = [(19.0, -0.30), (50.0, -0.52), (69.0, -0.22), (70.0, 0.2), (50.0, 0.5), (19.0, 0.30)]
        strokes.append(_curve([(center_x + r * math.cos(turn + a), center_y + r * math.sin(turn + a)) for r, a in petal]))
    strokes.append(_curve([(126, 156), (131, 190), (126, 246)]))
    strokes.append(_curve([(138, 156), (142, 190), (137, 246)]))
    strokes.append(_curve([(140, 216), (160, 186), (206, 178), (194, 210), (166, 226), (139, 226)]))
    strokes.append(_curve([(148, 218), (188, 190)]))
    strokes.append(_curve([(127, 228), (104, 200), (62, 196), (74, 224), (100, 238), (126, 238)]))
    return strokes


def _fish() -> list[Stroke]:
    return [
        _curve([(26, 132), (56, 96), (104, 80), (150, 94), (188, 126), (150, 166), (104, 182), (56, 168), (26, 132)]),
        _with_corners([(184, 126), (232, 84), (222, 128), (234, 172), (184, 130)], (1, 3)),
        _ring(64, 120, 11, 11), _ring(62, 121, 4, 4),
        _curve([(92, 92), (104, 118), (103, 146), (90, 172)]),
        _curve([(96, 80), (112, 52), (152, 58), (150, 92)]), _curve([(116, 76), (124, 62)]),
        _curve([(112, 181), (122, 204), (148, 200), (142, 170)]),
        _curve([(122, 128), (132, 120), (140, 130)]), _curve([(148, 116), (158, 110), (165, 120)]),
        _curve([(146, 144), (156, 138), (163, 148)]), _curve([(30, 138), (42, 144), (52, 140)]),
    ]  # fmt: skip


_CAT_DABS = (
    Dab(128, 112, 11, (120, 144, 168)), Dab(72, 170, 11, (120, 144, 168)), Dab(186, 170, 11, (120, 144, 168)),
    Dab(78, 76, 8, (120, 144, 168)), Dab(181, 76, 8, (120, 144, 168)), Dab(129, 162, 4, (236, 120, 140)),
)  # fmt: skip
_MUG_DABS = (Dab(88, 150, 13, (214, 60, 60)), Dab(140, 170, 13, (214, 60, 60)), Dab(112, 84, 8, (96, 56, 32)))
_FLOWER_DABS = (
    Dab(128, 88, 9, (252, 200, 40)), Dab(178, 100, 9, (196, 90, 200)), Dab(80, 76, 9, (196, 90, 200)),
    Dab(140, 140, 9, (196, 90, 200)), Dab(178, 204, 7, (80, 160, 60)), Dab(94, 222, 7, (80, 160, 60)),
)  # fmt: skip
_FISH_DABS = (Dab(132, 108, 10, (40, 130, 220)), Dab(80, 150, 9, (40, 130, 220)), Dab(212, 128, 8, (250, 190, 40)))


def _ink(strokes: Sequence[Stroke], size: int, line_width_px: float) -> ImagesU8:
    """Draws strokes as round pen lines: (size, size, 1), 0 ink on 255 paper, anti-aliased."""
    side = size * OVERSAMPLING
    canvas = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(canvas)
    radius, scale = line_width_px * OVERSAMPLING / 2, side / SHEET
    for index, stroke in enumerate(strokes):
        for x, y in _densely(_wobbled(stroke, np.random.default_rng(index))):
            pen.ellipse((x * scale - radius, y * scale - radius, x * scale + radius, y * scale + radius), fill=0)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))[..., None]


def _paint(dabs: Sequence[Dab], size: int) -> ImagesU8:
    """Draws hint dabs: (size, size, 4), alpha 0 where nothing is hinted."""
    canvas = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    brush, scale = ImageDraw.Draw(canvas), size / SHEET
    for dab in dabs:
        box = [scale * value for value in (dab.x - dab.radius, dab.y - dab.radius, dab.x + dab.radius, dab.y + dab.radius)]
        brush.ellipse(box, fill=(*dab.color, 255))
    return np.asarray(canvas)


def _curve(points: Sequence[Point], steps: int = 12) -> Stroke:
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


def _with_corners(points: Sequence[Point], corners: Sequence[int]) -> Stroke:
    """A curve that is sharp at the given points."""
    cuts = [0, *corners, len(points) - 1]
    return [point for start, end in pairwise(cuts) for point in _curve(points[start : end + 1])]


def _polygon(points: Sequence[Point]) -> Stroke:
    return [point for start, end in pairwise(points) for point in _curve([start, end])]


def _ring(x: float, y: float, radius_x: float, radius_y: float) -> Stroke:
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
