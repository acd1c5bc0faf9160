"""A picture larger than the graph: cut into tiles that overlap, and laid together again without seams. Pure.

It knows no graph and decides nothing about when tiles are run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.imaging import Fit, Pixels
from server.manifest import FlexibleSize, Size

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TileAxis:
    """One direction: tiles of `side` pixels at `starts`, which cover `length` pixels and what they are padded by."""

    length: int
    side: int
    starts: tuple[int, ...]

    @property
    def padded(self) -> int:
        return self.starts[-1] + self.side

    def weights(self) -> tuple[Weights, ...]:
        """One factor a pixel of each tile: a raised cosine where tiles overlap. Over each place the factors sum to 1."""
        windows = [np.ones(self.side) for _ in self.starts]
        for number, (start, following) in enumerate(itertools.pairwise(self.starts)):
            shared = start + self.side - following
            rise = np.sin((np.arange(shared) + 0.5) * (np.pi / 2 / shared)) ** 2
            windows[number][-shared:] *= rise[::-1]
            windows[number + 1][:shared] *= rise
        total = np.zeros(self.padded)  # 1 but where three tiles meet
        for start, window in zip(self.starts, windows, strict=True):
            total[start : start + self.side] += window
        pairs = zip(self.starts, windows, strict=True)
        return tuple((window / total[start : start + self.side]).astype(np.float32) for start, window in pairs)


@dataclass(frozen=True)
class TileGrid:
    """All tiles of a picture, row by row from the top left."""

    down: TileAxis
    across: TileAxis

    def __len__(self) -> int:
        return len(self.down.starts) * len(self.across.starts)

    @property
    def pixels(self) -> int:
        """Of all tiles together, overlaps counted."""
        return len(self) * self.down.side * self.across.side

    @property
    def fit(self) -> Fit:
        """Where the picture lies on the canvas that the tiles cover: at its own size, at the top left."""
        height, width = self.down.length, self.across.length
        return Fit(self.across.padded, self.down.padded, 1.0, 0, 0, width, height, width, height)

    def windows(self) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of each tile."""
        for top, left in itertools.product(self.down.starts, self.across.starts):
            yield slice(top, top + self.down.side), slice(left, left + self.across.side)

    def pad(self, pixels: Pixels) -> Pixels:
        """The picture continued by its own reflection to the right and below, as far as the tiles reach."""
        missing = (self.down.padded - self.down.length, self.across.padded - self.across.length)
        if missing == (0, 0):
            return pixels
        return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")


def tile_grid(width: int, height: int, size: Size | FlexibleSize, overlap: int) -> TileGrid:
    """The fewest tiles of the graph's (largest) size that share at least `overlap` pixels with each neighbour."""
    if isinstance(size, Size):
        return TileGrid(_fixed(height, size.height, overlap), _fixed(width, size.width, overlap))
    return TileGrid(_flexible(height, size, overlap), _flexible(width, size, overlap))


def _fixed(length: int, side: int, overlap: int) -> TileAxis:
    if length <= side:
        return TileAxis(length, side, (0,))
    count = math.ceil((length - overlap) / (side - overlap))
    return TileAxis(length, side, tuple((length - side) * number // (count - 1) for number in range(count)))


def _flexible(length: int, size: FlexibleSize, overlap: int) -> TileAxis:
    """A picture that the graph takes as a whole gets one tile of about its own size."""
    return _fixed(
        length, min(size.largest, max(size.smallest, math.ceil(length / size.multiple_of) * size.multiple_of)), overlap
    )


class Mosaic:
    """Lays results of tiles together, given in the grid's order. It holds floats of one row of tiles only."""

    def __init__(self, grid: TileGrid) -> None:
        self._grid = grid
        self._rows, self._columns = grid.down.weights(), grid.across.weights()
        self._count = 0
        self._band: npt.NDArray[np.float32] | None = None
        self._picture: Pixels | None = None

    @property
    def picture(self) -> Pixels:
        """The canvas of `grid.fit`, once all tiles are laid."""
        assert self._picture is not None
        assert self._count == len(self._grid)
        return self._picture

    def lay(self, tile: Pixels) -> None:
        """Adds the next tile."""
        height, width, channels = tile.shape
        if self._band is None or self._picture is None:
            self._picture = np.empty((self._grid.down.padded, self._grid.across.padded, channels), np.uint8)
            self._band = np.zeros((height, self._grid.across.padded * channels), np.float32)
        row, column = divmod(self._count, len(self._columns))
        left = self._grid.across.starts[column] * channels
        weighted = np.multiply(tile.reshape(height, width * channels), np.repeat(self._columns[column], channels))
        weighted *= self._rows[row][:, None]
        self._band[:, left : left + width * channels] += weighted
        self._count += 1
        if column == len(self._columns) - 1:
            self._finish_row(row, self._band, self._picture)

    def _finish_row(self, row: int, band: npt.NDArray[np.float32], picture: Pixels) -> None:
        """What no later row of tiles reaches goes into the picture; the rest moves up to wait for the next row."""
        starts = (*self._grid.down.starts, self._grid.down.padded)
        top, following = starts[row], starts[row + 1]
        finished = following - top
        # uint8 cuts fractions off
        picture[top:following] = (band[:finished] + np.float32(0.5)).reshape(finished, -1, picture.shape[2])
        band[:-finished] = band[finished:].copy()
        band[-finished:] = 0
