"""House fronts for the `facades` model's gallery: painted here, since no image of the data set may be shipped.

A front is a stack of storeys between a roof line and the street. Every edge is a little off, as if painted by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.datasets import ImagesU8
from training.recipes.recipe import Drawing

SHEET = 256
BACKGROUND, WALL, WINDOW, DOOR, HEAD, SILL, BALCONY, BLIND, DECORATION, CORNICE, PILLAR, SHOP = range(12)


@dataclass(frozen=True)
class Front:
    """One house. Lengths are pixels on a 256 px sheet.

    Attributes:
        storeys: From the top: what each window column has, one letter a column. `w` window, `h` with head, `b` with balcony,
            `s` with blinds at its sides, `a` window with decoration above, `.` nothing.
        ground: The same for the ground floor: `d` door, `S` shop, `w` window, `.` nothing.
    """

    title: dict[str, str]
    left: float
    right: float
    top: float
    storeys: tuple[str, ...]
    ground: str
    has_pillars: bool = False
    has_bands: bool = True


FRONTS = (
    Front({"en": "Town house", "ja": "町家"}, 18, 238, 30, ("wwwww", "hhbhh", "hhbhh"), "wwdww"),
    Front({"en": "Corner with shops", "ja": "商店のある建物"}, 0, 256, 14, ("wwwwww", "bwbbwb", "hhhhhh"), "SS.dSS"),
    Front({"en": "House with blinds", "ja": "よろい戸の家"}, 30, 226, 58, ("ssss", "ssss"), "wdws", has_bands=False),
    Front({"en": "Palace", "ja": "宮殿"}, 6, 250, 40, ("aaaaa", "hhbhh"), "wwdww", has_pillars=True),
)


def drawings(size: int, _line_width_px: float | None = None) -> tuple[Drawing, ...]:
    """All house fronts as class indices at `size` pixels."""
    return tuple(
        Drawing(title=front.title, inputs={"image": _paint(front, size, np.random.default_rng(index))})
        for index, front in enumerate(FRONTS)
    )


class _Sheet:
    """A label map that is painted in rectangles with unsteady edges."""

    def __init__(self, size: int, generator: np.random.Generator) -> None:
        self.labels = np.full((size, size, 1), BACKGROUND, np.uint8)
        self._scale = size / SHEET
        self._generator = generator

    def rectangle(self, label: int, left: float, top: float, right: float, bottom: float) -> None:
        """Paints from edge to edge, each edge up to 1.3 px off."""
        edges = np.array([left, top, right, bottom]) + self._generator.uniform(-1.3, 1.3, 4)
        x0, y0, x1, y1 = (round(float(edge) * self._scale) for edge in edges)
        self.labels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = label


def _paint(front: Front, size: int, generator: np.random.Generator) -> ImagesU8:
    sheet = _Sheet(size, generator)
    bottom, ground_height = 246.0, 56.0
    sheet.rectangle(WALL, front.left, front.top, front.right, bottom)
    storey_height = (bottom - ground_height - front.top - 12) / len(front.storeys)
    for row, columns in enumerate(front.storeys):
        top = front.top + 12 + row * storey_height
        if front.has_bands and row:
            sheet.rectangle(CORNICE, front.left, top - 3, front.right, top + 2)
        for column, letter in enumerate(columns):
            _paint_window(sheet, letter, *_column(front, column, len(columns)), top, storey_height)
    if front.has_pillars:
        _paint_pillars(sheet, front, bottom - ground_height)
    sheet.rectangle(CORNICE, front.left - 3, front.top, front.right + 3, front.top + 11)
    sheet.rectangle(CORNICE, front.left, bottom - ground_height - 3, front.right, bottom - ground_height + 3)
    _paint_ground(sheet, front, bottom - ground_height, bottom)
    return sheet.labels


def _column(front: Front, column: int, count: int) -> tuple[float, float]:
    """Centre and half width of a window in a column."""
    pitch = (front.right - front.left - 12) / count
    return front.left + 6 + pitch * (column + 0.5), pitch * 0.25


def _paint_window(sheet: _Sheet, letter: str, center: float, half: float, storey_top: float, height: float) -> None:
    if letter == ".":
        return
    top, bottom = storey_top + 0.26 * height, storey_top + 0.84 * height
    sheet.rectangle(WINDOW, center - half, top, center + half, bottom)
    sheet.rectangle(SILL, center - half - 3, bottom, center + half + 3, bottom + 5)
    if letter in "hb":
        sheet.rectangle(HEAD, center - half - 3, top - 8, center + half + 3, top)
    if letter == "b":
        sheet.rectangle(BALCONY, center - half - 8, bottom - 0.28 * height, center + half + 8, bottom + 5)
    if letter == "s":
        sheet.rectangle(BLIND, center - 1.75 * half, top, center - half, bottom)
        sheet.rectangle(BLIND, center + half, top, center + 1.75 * half, bottom)
    if letter == "a":
        sheet.rectangle(DECORATION, center - 0.7 * half, top - 11, center + 0.7 * half, top - 1)


def _paint_pillars(sheet: _Sheet, front: Front, bottom: float) -> None:
    columns = len(front.storeys[0])
    for border in range(columns + 1):
        x = front.left + 6 + (front.right - front.left - 12) * border / columns
        sheet.rectangle(PILLAR, x - 3.5, front.top + 14, x + 3.5, bottom - 4)


def _paint_ground(sheet: _Sheet, front: Front, top: float, bottom: float) -> None:
    for column, letter in enumerate(front.ground):
        center, half = _column(front, column, len(front.ground))
        if letter == "d":
            sheet.rectangle(DOOR, center - 1.1 * half, top + 12, center + 1.1 * half, bottom)
        elif letter == "S":
            sheet.rectangle(SHOP, center - 1.6 * half, top + 10, center + 1.6 * half, bottom - 2)
        elif letter in "ws":
            _paint_window(sheet, letter, center, half, top, bottom - top)
