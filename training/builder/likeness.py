"""Which pictures show the same: a perceptual hash of 64 bits, that of the mirrored picture, and a search for near ones.

It compares what pictures look like in gray and small; it knows no files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

GRID = 32
"""Side in pixels of the gray picture that is transformed."""

SIDE = 8
"""Frequencies a direction, so that there are 8 x 8 = 64 bits."""


@dataclass(frozen=True)
class Fingerprint:
    """Hashes of 64 bits: of a picture and of the picture mirrored left to right."""

    upright: int
    mirrored: int

    @property
    def hexadecimal(self) -> str:
        return f"{self.upright:016x}"


@dataclass(frozen=True)
class Match:
    """A picture seen before, and in how many of 64 bits it differs."""

    id: str
    bits: int
    is_mirrored: bool


def fingerprint(image: Image.Image) -> Fingerprint:
    """The hash of Zauner (2010, 3.2.1), known as pHash: which low frequencies of the cosine transform are above their median.

    The lowest frequency of either direction is left out, as there: it holds brightness and plain gradients. Mirroring a picture
    turns the sign of every odd horizontal frequency, so its hash takes no second transform.
    """
    small = image.convert("L").resize((GRID, GRID), Image.Resampling.BOX)
    frequencies = dctn(np.asarray(small, np.float32), norm="ortho")[1 : SIDE + 1, 1 : SIDE + 1]
    signs = np.where(np.arange(1, SIDE + 1) % 2, -1.0, 1.0)
    return Fingerprint(_bits(frequencies), _bits(frequencies * signs))


class Gallery:
    """Fingerprints of the pictures kept so far."""

    def __init__(self, tolerance_bits: int) -> None:
        """
        Args:
            tolerance_bits: Pictures that differ in so many of 64 bits are still the same; -1: none is like another.
                Differences are even, because half of the bits of every hash are set.
        """
        self._tolerance = tolerance_bits
        self._ids: list[str] = []
        self._prints: NDArray[np.uint64] = np.empty(64, np.uint64)

    def add(self, picture_id: str, hexadecimal: str) -> None:
        count = len(self._ids)
        if count == len(self._prints):
            self._prints = np.concatenate([self._prints, np.empty_like(self._prints)])
        self._prints[count] = int(hexadecimal, 16)
        self._ids.append(picture_id)

    def match(self, sought: Fingerprint) -> Match | None:
        """The nearest picture within the tolerance; of several the first that was added."""
        if not self._ids:
            return None
        matches = [self._nearest(sought.upright, is_mirrored=False), self._nearest(sought.mirrored, is_mirrored=True)]
        best = min(matches, key=lambda match: match.bits)
        return best if best.bits <= self._tolerance else None

    def _nearest(self, sought: int, *, is_mirrored: bool) -> Match:
        distances = np.bitwise_count(self._prints[: len(self._ids)] ^ np.uint64(sought))
        index = int(distances.argmin())
        return Match(self._ids[index], int(distances[index]), is_mirrored)


def _bits(frequencies: NDArray[np.float32]) -> int:
    """64 bits, the first frequency in the highest."""
    above = (frequencies > np.median(frequencies)).ravel()
    return int.from_bytes(np.packbits(above).tobytes(), "big")
