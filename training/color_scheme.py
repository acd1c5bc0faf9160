"""Colour schemes: the few colours that make up most of a picture, which a generator is told and a seed chooses later.

What colour a thing has is often not in its lines. A generator that must guess learns the mean of all guesses, which is gray or
the commonest colour of the set. Told the target's colours while it learns, it need only find where they belong; when it serves,
the latent chooses a scheme that a training picture had (`training/networks/scheme_memory.py`). The idea is BicycleGAN's (Zhu et
al. 2017, 3.2, a code of the target beside the input); the code is measured here, not learned, so that one can read it.
"""

from __future__ import annotations

import torch
from torch import Tensor

CELL_PX = 8
"""One pixel of each square of this side is looked at."""
ROUNDS = 5
"""Of Lloyd's algorithm."""
_PAPER, _PAPER_WEIGHT = 0.9, 0.02
"""What is brighter than this in all of RGB, in [-1, 1], may be paper and counts for little."""


@torch.no_grad()
def dominant_colors(picture: Tensor, count: int) -> Tensor:
    """The colours around which most of a picture lies, by k-means from a start without chance.

    Args:
        picture: (N, 3, H, W) in [-1, 1].
        count: How many colours.

    Returns:
        (N, 3 * count) in [-1, 1], the colour of the largest share first.
    """
    pixels = picture[:, :, CELL_PX // 2 :: CELL_PX, CELL_PX // 2 :: CELL_PX].flatten(2).transpose(1, 2).float()  # (N, P, 3)
    weights = torch.where(pixels.amin(dim=2) > _PAPER, _PAPER_WEIGHT, 1.0)  # (N, P)
    colors = _start(pixels, weights, count)
    for _ in range(ROUNDS):
        member = _members(pixels, colors) * weights[:, :, None]  # (N, P, count)
        share = member.sum(dim=1)
        means = member.transpose(1, 2) @ pixels / share.clamp(min=1e-6)[:, :, None]
        colors = torch.where(share[:, :, None] > 0, means, colors)
    share = (_members(pixels, colors) * weights[:, :, None]).sum(dim=1)
    order = share.argsort(dim=1, descending=True, stable=True)
    return colors.gather(1, order[:, :, None].expand(-1, -1, 3)).flatten(1)


def _start(pixels: Tensor, weights: Tensor, count: int) -> Tensor:
    """The mean, then again and again the pixel that counts and is farthest from all colours so far: (N, count, 3)."""
    mean = (pixels * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
    colors = mean[:, None]
    own = pixels.square().sum(dim=2)
    for _ in range(count - 1):
        distance = (own - 2 * _nearness(pixels, colors).amax(dim=2)).clamp(min=0).sqrt()
        farthest = (distance * weights).argmax(dim=1)
        colors = torch.cat([colors, pixels[torch.arange(len(pixels)), farthest][:, None]], dim=1)
    return colors


def _members(pixels: Tensor, colors: Tensor) -> Tensor:
    """Which colour is nearest to each pixel, as zeros and ones: (N, P, count)."""
    nearest = _nearness(pixels, colors).argmax(dim=2, keepdim=True)
    return (nearest == torch.arange(colors.shape[1], device=pixels.device)).to(pixels.dtype)


def _nearness(pixels: Tensor, colors: Tensor) -> Tensor:
    """p c - |c|^2 / 2, which is larger the nearer a colour is: (|p|^2 - |p - c|^2) / 2. (N, P, 3), (N, K, 3) to (N, P, K)."""
    return torch.baddbmm(-0.5 * colors.square().sum(dim=2)[:, None], pixels, colors.transpose(1, 2))
