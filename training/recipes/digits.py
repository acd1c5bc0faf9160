"""Recipe `digits`: a label map of one class -> a handwritten-looking digit of it. A toy for learning, which needs no files.

Every digit is drawn anew from a few strokes, bent, slanted and inked at random: there are many right answers to each label.
"""

from __future__ import annotations

import colorsys
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training.datasets import ImagesU8, Origin, Pairs, PaletteEntry
from training.recipes.freehand import SHEET, Stroke, curve, ink
from training.recipes.recipe import Draft, Drawing, Recipe

COUNTS = {"train": 4000, "val": 200}
SEEDS = {"train": 1, "val": 2}
PAPER = 24
"""Value of the ground, [0, 255], before noise."""

PALETTE = tuple(
    PaletteEntry(
        index=digit,
        name={"en": str(digit), "ja": str(digit)},
        color="#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hsv_to_rgb(digit / 10, 0.55, 0.95)),
    )
    for digit in range(10)
)

# Strokes in a box of 100 x 100, as one writes them.
STROKES: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (((50, 5), (22, 30), (22, 70), (50, 95), (78, 70), (78, 30), (50, 5)),),
    (((35, 25), (55, 5), (55, 50), (55, 95)),),
    (((24, 28), (48, 5), (74, 28), (52, 60), (22, 94), (50, 92), (80, 93)),),
    (((26, 14), (55, 6), (72, 26), (45, 48), (76, 70), (54, 94), (22, 84)),),
    (((60, 5), (38, 36), (20, 66), (50, 66), (82, 66)), ((62, 40), (61, 68), (60, 96))),
    (((74, 7), (50, 7), (32, 8), (28, 44), (56, 40), (77, 64), (56, 94), (24, 86)),),
    (((66, 6), (36, 34), (24, 70), (50, 95), (76, 72), (52, 52), (27, 72)),),
    (((22, 8), (50, 8), (78, 8), (58, 48), (42, 95)),),
    (((50, 48), (26, 26), (50, 5), (74, 26), (50, 48), (24, 72), (50, 95), (76, 72), (50, 48)),),
    (((74, 30), (50, 48), (27, 28), (50, 6), (74, 28), (72, 62), (62, 95)),),
)

ORIGIN = Origin(
    name="Digits of this project",
    home_page="",
    license="CC0-1.0",
    weights_license="CC0-1.0",
    free_samples=True,
    notice="Digits drawn by a program of Inkwash. CC0-1.0.",
)


def build(_: Path, size: int) -> Draft:
    """Digits in turn, a split each of its own seed."""
    return Draft(splits={split: _draw_all(count, SEEDS[split], size, split) for split, count in COUNTS.items()}, rejects={})


def draw_digit(digit: int, size: int, generator: np.random.Generator) -> ImagesU8:
    """One digit, (size, size, 3): bent, slanted and turned, in ink of a random hue, on a dark ground that is not quite even."""
    strokes = [curve(_bent(np.array(points), generator)) for points in STROKES[digit]]
    pen = generator.uniform(0.07, 0.12) * size
    coverage = 1 - ink(strokes, size, pen).astype(np.float32) / 255  # (size, size, 1)
    color = 255 * np.array(colorsys.hsv_to_rgb(generator.random(), generator.uniform(0.3, 0.8), generator.uniform(0.8, 1.0)))
    picture = PAPER + coverage * (color - PAPER) + generator.normal(0, 4, (size, size, 3))
    drawn: ImagesU8 = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return drawn


def _bent(points: NDArray[np.float64], generator: np.random.Generator) -> Stroke:
    """Points of a stroke on the sheet, each a little elsewhere, all of them turned, slanted and scaled together."""
    moved = points - 50 + generator.normal(0, 2.5, points.shape)
    angle, slant = generator.normal(0, 0.1), generator.normal(0.1, 0.15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    scale = generator.uniform(0.62, 0.8, 2) * SHEET / 100
    placed = (moved @ np.array([[1, 0], [-slant, 1]]) @ turn.T) * scale + SHEET / 2 + generator.normal(0, 5, 2)
    return [(float(x), float(y)) for x, y in placed]


def _draw_all(count: int, seed: int, size: int, split: str) -> Pairs:
    source = np.zeros((count, size, size, 1), np.uint8)
    target = np.zeros((count, size, size, 3), np.uint8)
    for k in track(range(count), description=f"Drawing {split}", transient=True):
        source[k] = k % 10
        target[k] = draw_digit(k % 10, size, np.random.default_rng((seed, k)))
    return Pairs([f"{k % 10}-{k}" for k in range(count)], source, target)


def drawings(size: int, _: float | None) -> tuple[Drawing, ...]:
    """Each digit once."""
    return tuple(
        Drawing({"en": f"Digit {digit}", "ja": f"数字 {digit}"}, {"image": np.full((size, size, 1), digit, np.uint8)})
        for digit in range(10)
    )


RECIPE = Recipe(
    name="digits",
    title={"en": "Digits", "ja": "数字"},
    kind="labels",
    palette=PALETTE,
    background=0,
    origin=ORIGIN,
    downloads=(),
    needs="nothing",
    build=build,
    drawings=drawings,
    weaknesses="- A toy: it writes ten digits, and maps of several labels are nothing that it has seen.",
    needs_source=False,
)
