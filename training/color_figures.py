"""How well the colours of pictures match, all pictures of a set together. Pure: bytes in, numbers out."""

from __future__ import annotations

import numpy as np
import torch
from kornia.color import rgb_to_lab
from numpy.typing import NDArray

from training.datasets import ImagesU8
from training.photos import colorfulness

BINS, LIMIT = 50, 110.0
"""Bins of a histogram over a* or b*, which lie within +-LIMIT for sRGB."""


def mean_colorfulness(pictures: ImagesU8) -> float:
    """Mean of Hasler and Suesstrunk's measure over pictures (N, H, W, 3)."""
    return float(np.mean([colorfulness(picture) for picture in pictures]))


def lab_intersection(made: ImagesU8, wanted: ImagesU8) -> float:
    """Share of colour that two sets have in common: intersection of their histograms of a*, and of b*, averaged.

    As in pix2pix, 4.2 and figure 7 (marginal distributions over a whole set); L* is left out, since a colouriser keeps it.
    1 is the same distribution of colours, whichever picture has them.
    """
    pairs = zip(_histograms(made), _histograms(wanted), strict=True)
    return float(np.mean([np.minimum(ours, theirs).sum() for ours, theirs in pairs]))


def _histograms(pictures: ImagesU8) -> list[NDArray[np.float64]]:
    """Shares of pixels by a*, then by b*."""
    counts = np.zeros((2, BINS))
    for picture in pictures:
        lab = rgb_to_lab(torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255).numpy()
        counts += [np.histogram(plane, BINS, (-LIMIT, LIMIT))[0] for plane in lab[1:]]
    return [channel / channel.sum() for channel in counts]
