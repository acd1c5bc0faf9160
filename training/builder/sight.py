"""One picture looked at: where its subject is by the box alone, and by a detector's opinions once they were learned from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from training.builder.box import Box
from training.builder.detector import Detector
from training.builder.grabcut import grabcut, labels_from_box, labels_from_likelihood
from training.builder.likelihood import LikelihoodModel
from training.builder.mask import Mask, tidied

BAND = 0.03
"""Width of the bands on both sides of an outline, as a share of the picture's longer side."""


@dataclass(frozen=True)
class View:
    """A picture and the box of its subject in it."""

    picture: Image.Image
    box: Box

    def at(self, longer_side: int) -> View:
        """In small, where it is larger than that."""
        scale = min(longer_side / max(self.picture.size), 1.0)
        size = (max(round(self.picture.width * scale), 1), max(round(self.picture.height * scale), 1))
        small = self.picture.resize(size, Image.Resampling.BOX) if scale < 1 else self.picture
        return View(small, self.box.seen_from(Box.whole(size), scale))

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3)."""
        return np.asarray(self.picture)

    @property
    def shares(self) -> Box:
        """The box in shares of the picture's sides."""
        width, height = self.picture.size
        return Box(self.box.left / width, self.box.top / height, self.box.right / width, self.box.bottom / height)

    def mirrored(self) -> View:
        """Left and right exchanged."""
        return View(self.picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), self.box.mirrored(self.picture.width))


@dataclass(frozen=True)
class Sight:
    """A detector and what was learned of its opinions: where in a picture the subject is."""

    detector: Detector
    model: LikelihoodModel

    def __call__(self, view: View, size: tuple[int, int]) -> NDArray[np.float32]:
        """Likelihood of each pixel at a size (width, height), the mean of what the picture and its mirror image show."""
        there = self.model(self.detector.opinions(view.pixels), view.shares)
        flipped = view.mirrored()
        back = self.model(self.detector.opinions(flipped.pixels), flipped.shares)[:, ::-1]
        enlarged = cv2.resize((there + back) / 2, size, interpolation=cv2.INTER_CUBIC)
        likelihood: NDArray[np.float32] = np.clip(enlarged, 0, 1)
        return likelihood


@dataclass(frozen=True)
class Found:
    """A mask of a view.

    Attributes:
        raw: As it was found.
        tidy: Its largest component, smooth and without holes.
        contrast: By how much the likelihood that it began with falls from just inside to just outside of its outline, in
            [-1, 1]; None where it began with none. An outline that cuts through the subject, or runs around more, has little.
    """

    raw: Mask
    tidy: Mask
    contrast: float | None = None


def found_by_box(view: View, rounds: int) -> Found:
    """By the box alone."""
    pixels = view.pixels
    raw = grabcut(pixels, labels_from_box(pixels.shape[:2], view.box), rounds)
    return Found(raw, tidied(raw))


def found_by_sight(view: View, longer_side: int, sight: Sight, rounds: int) -> Found:
    """By what the detector sees in the picture, at the smaller size at which the mask is found."""
    small = view.at(longer_side)
    likelihood = sight(view, small.picture.size)
    raw = grabcut(small.pixels, labels_from_likelihood(likelihood, small.box), rounds)
    tidy = tidied(raw)
    return Found(raw, tidy, contrast_along(tidy, likelihood))


def contrast_along(mask: Mask, likelihood: NDArray[np.float32]) -> float:
    """Mean likelihood in a band along the inner side of a mask's outline, less that along its outer side."""
    band_px = max(round(BAND * max(mask.shape)), 1)
    inner = mask & ~ndimage.binary_erosion(mask, iterations=band_px, border_value=1)
    outer = ndimage.binary_dilation(mask, iterations=band_px) & ~mask
    if not inner.any() or not outer.any():
        return 0.0
    return float(likelihood[inner].mean() - likelihood[outer].mean())
