"""Rectangles in a picture: where something is, and what to cut out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of its picture; right and bottom are the first column and row outside."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def whole(cls, size: tuple[int, int]) -> Self:
        """All of a picture (width, height)."""
        return cls(0, 0, *size)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def longer(self) -> float:
        """Its longer side."""
        return max(self.width, self.height)

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    def grown(self, share: float) -> Box:
        """Larger by that share of its sides at each of them."""
        x, y = self.width * share, self.height * share
        return Box(self.left - x, self.top - y, self.right + x, self.bottom + y)

    def mirrored(self, width: float) -> Box:
        """The same place in a picture of that width, left and right exchanged."""
        return Box(width - self.right, self.top, width - self.left, self.bottom)

    def meet(self, other: Box) -> Box:
        """What both cover; where they do not meet, something without an area."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))

    def overlap(self, other: Box) -> float:
        """Intersection over union, in [0, 1]."""
        shared = self.meet(other).area
        return shared / max(self.area + other.area - shared, 1e-9)

    def seen_from(self, frame: Box, scale: float = 1.0) -> Box:
        """The same place in what is cut at `frame` and then scaled."""
        xs = ((x - frame.left) * scale for x in (self.left, self.right))
        ys = ((y - frame.top) * scale for y in (self.top, self.bottom))
        (left, right), (top, bottom) = xs, ys
        return Box(left, top, right, bottom)

    def borders_touched(self, frame: Box, tolerance: float) -> int:
        """How many sides of a frame around it it reaches, give or take that share of the frame's sides."""
        x, y = frame.width * tolerance, frame.height * tolerance
        return sum(
            (
                self.left <= frame.left + x,
                self.top <= frame.top + y,
                self.right >= frame.right - x,
                self.bottom >= frame.bottom - y,
            )
        )

    def within(self) -> tuple[slice, slice]:
        """Rows and columns of an array that it covers, to whole pixels."""
        top, left = max(round(self.top), 0), max(round(self.left), 0)
        return slice(top, max(round(self.bottom), top)), slice(left, max(round(self.right), left))

    def numbers(self) -> list[float]:
        """Left, top, right, bottom, to a tenth of a pixel, as they stand in a journal."""
        return [round(float(side), 1) for side in (self.left, self.top, self.right, self.bottom)]


def square_around(box: Box, size: tuple[int, int], margin: float, padding: bool) -> Box | None:
    """The square in a picture (width, height) that holds the box with its margin, moved so that it leaves the picture least.

    Args:
        margin: Room on each side as a share of the box's longer side.
        padding: Whether the square may leave the picture. Otherwise the margin gives way, and there is no square where the box
            is longer than the picture's shorter side.
    """
    side = round(box.longer * (1 + 2 * margin))
    if not padding:
        side = min(side, *size)
    if side < math.floor(box.longer):
        return None
    left = _start((box.left + box.right) / 2, side, size[0])
    top = _start((box.top + box.bottom) / 2, side, size[1])
    return Box(left, top, left + side, top + side)


def _start(center: float, side: int, length: int) -> int:
    """Where a span of `side` around `center` begins when it is moved into [0, length], or around that if it is longer."""
    low, high = sorted((0, length - side))
    return min(max(round(center - side / 2), low), high)
