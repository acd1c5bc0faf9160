"""Colour spaces of pictures in [-1, 1]: full-range YCbCr of BT.601, as JPEG uses it. Conversion is kornia's, on any device.

All three channels are scaled to [-1, 1]; 0 is no colour. It is plain arithmetic, so it exports as nodes of a graph.
"""

from __future__ import annotations

import torch
from kornia.color import rgb_to_ycbcr as unit_rgb_to_ycbcr
from kornia.color import ycbcr_to_rgb as unit_ycbcr_to_rgb
from torch import Tensor
from torch.nn import functional as F


def rgb_to_ycbcr(image: Tensor) -> Tensor:
    """(N, 3, H, W), RGB to Y, Cb, Cr."""
    return unit_rgb_to_ycbcr((image.float() + 1) / 2) * 2 - 1


def ycbcr_to_rgb(image: Tensor) -> Tensor:
    """(N, 3, H, W), Y, Cb, Cr to RGB, clamped: not every YCbCr triple is a colour."""
    return unit_ycbcr_to_rgb((image.float() + 1) / 2) * 2 - 1


def luma_of(image: Tensor) -> Tensor:
    """Y of an RGB picture, (N, 1, H, W)."""
    return rgb_to_ycbcr(image)[:, :1]


def shrink(image: Tensor, factor: int) -> Tensor:
    """Means of squares of `factor` pixels: (N, C, H, W) to (N, C, H / factor, W / factor)."""
    return image if factor == 1 else F.avg_pool2d(image, factor)


def color_under_luma(picture: Tensor, luma: Tensor) -> Tensor:
    """The colour of an RGB `picture` (N, 3, h, w) under `luma` (N, 1, H, W), as RGB (N, 3, H, W)."""
    chroma = rgb_to_ycbcr(picture)[:, 1:]
    if chroma.shape[2:] != luma.shape[2:]:
        chroma = F.interpolate(chroma, size=luma.shape[2:], mode="bilinear", align_corners=False)
    return ycbcr_to_rgb(torch.cat([luma, chroma], dim=1))
