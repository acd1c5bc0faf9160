"""Colour along the edges of light: upsampling that follows a larger guide (guided filter; He et al. 2010, fast form 2015)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

RADIUS = 1
"""Of the window in which colour is taken for a line in light, in small pixels."""
EPSILON = 0.003
"""Variance of light, of [-1, 1], below which a window counts as flat and its colour is just averaged."""


def guided_upsample(small: Tensor, guide: Tensor) -> Tensor:
    """Enlarges `small` so that it changes where the guide does.

    In each small window the picture is fitted as a * guide + b; a and b are enlarged, and the guide at full size does the rest.

    Args:
        small: (N, C, h, w).
        guide: (N, 1, H, W) in [-1, 1]; H and W the same multiple of h and w.

    Returns:
        (N, C, H, W).
    """
    light = F.avg_pool2d(guide, guide.shape[-1] // small.shape[-1])
    mean_light, mean_small = _mean(light), _mean(small)
    variance = _mean(light * light) - mean_light * mean_light
    covariance = _mean(light * small) - mean_light * mean_small
    slope = covariance / (variance + EPSILON)
    offset = mean_small - slope * mean_light
    both = F.interpolate(_mean(torch.cat([slope, offset], dim=1)), size=guide.shape[2:], mode="bilinear", align_corners=False)
    slope, offset = both.chunk(2, dim=1)
    return slope * guide + offset


def _mean(values: Tensor) -> Tensor:
    """Of the window around each place, as far as it lies inside."""
    return F.avg_pool2d(values, 2 * RADIUS + 1, stride=1, padding=RADIUS, count_include_pad=False)
