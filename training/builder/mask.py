"""Masks of one subject: put in order, measured, turned into alpha. How a mask comes about is not known here."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from training.builder.box import Box

Mask = NDArray[np.bool_]
"""(H, W): whether a pixel is the subject's."""

SMOOTHING = 0.024
"""What is thinner than about half of this share of the picture's longer side is a thread, or a nick, and goes."""
TOUCHING = 0.02
"""A mask closer to a border than this share of the photo's side touches it."""


@dataclass(frozen=True)
class Shape:
    """What can be told of a mask without knowing what it should show.

    Attributes:
        cover: Share of the subject's box that is in the mask.
        main: Share of the mask that its largest component held before the rest was dropped.
        raggedness: Squared length of the outline by that of a disc of the same area: 1 for a disc, 1.3 for a square, 1.5 to 2.5
            for an animal, more for a mask that frays.
        cut: Share of the outline that runs along the borders of the picture.
        borders: How many borders of the picture it touches.
    """

    cover: float
    main: float
    raggedness: float
    cut: float
    borders: int


def tidied(mask: Mask) -> Mask:
    """The largest component, its holes filled (eyes and dark spots are holes), its outline without threads and nicks."""
    filled = ndimage.binary_fill_holes(largest_component(mask))
    smooth = cv2.medianBlur(filled.astype(np.uint8), 2 * round(max(mask.shape) * SMOOTHING / 2) + 1)
    return largest_component(smooth.astype(bool))


def largest_component(mask: Mask) -> Mask:
    """Of pixels that hang together side by side, the most."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0  # what is no component
    main: Mask = labels == sizes.argmax()
    return main


def bounds(mask: Mask) -> Box:
    """The smallest box that holds the mask; without an area where the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def measured(raw: Mask, tidy: Mask, box: Box) -> Shape:
    """The shape of a mask, from what it was before and after it was tidied."""
    area, outline = max(int(tidy.sum()), 1), max(_outline_px(tidy), 1.0)
    in_box = tidy[box.within()]
    height, width = tidy.shape
    return Shape(
        cover=float(in_box.mean()) if in_box.size else 0.0,
        main=float(largest_component(raw).sum() / max(int(raw.sum()), 1)),
        raggedness=outline**2 / (4 * np.pi * area),
        cut=sum(int(side.sum()) for side in (tidy[0], tidy[-1], tidy[:, 0], tidy[:, -1])) / outline,
        borders=bounds(tidy).borders_touched(Box.whole((width, height)), TOUCHING) if tidy.any() else 0,
    )


def _outline_px(mask: Mask) -> float:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return max((cv2.arcLength(contour, True) for contour in contours), default=0.0)


def to_alpha(mask: Mask, size: tuple[int, int]) -> NDArray[np.float32]:
    """Alpha in [0, 1] at a size (width, height): edges a pixel or two soft, without steps where a small mask is enlarged."""
    softened = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.2)
    enlarged = cv2.resize(softened, size, interpolation=cv2.INTER_CUBIC)
    alpha: NDArray[np.float32] = np.clip(
        (enlarged - 0.5) * 1.6 + 0.42, 0, 1
    )  # a little inwards: the background bleeds in there
    return alpha


def sticker(picture: Image.Image, alpha: NDArray[np.float32]) -> Image.Image:
    """The picture with alpha. What is half transparent takes the colour of the nearest opaque pixel, not of the background."""
    pixels = np.asarray(picture)
    opaque = alpha > 0.95
    if opaque.any():
        rows, columns = ndimage.distance_transform_edt(~opaque, return_distances=False, return_indices=True)
        pixels = pixels[rows, columns]
    rgba = np.dstack([pixels, np.round(alpha * 255).astype(np.uint8)])
    rgba[alpha == 0] = 0
    return Image.fromarray(rgba, "RGBA")
