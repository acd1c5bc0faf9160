"""Colour hints that run as far as the lines let them: what a paint bucket would do with every dab at once.

A dab is to colour the part that it lies in. A U-Net mixes what it knows of distant dabs in its bottleneck, so that a flower's
purple petals and green leaves meet in brown; where a colour may run is plain geometry, and is shown to it as such. It is made
of plain operators, so that it can be part of an exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SPREAD_CHANNELS = 4
CELL_PX = 4
"""Side of the squares that are filled at once."""
ROUNDS, ROUND_STEPS = 8, 5
SPREAD_STEPS = ROUNDS * ROUND_STEPS
"""Squares that a colour runs at most, counted along rows and columns: 160 pixels."""
UNDER_STEPS = 3
"""Squares that it runs under a line: 12 pixels, the width of a broad pen."""
_GAIN = 0.7
"""Keeps weights near 1 over a round, whether one neighbour or four have a colour, so that half precision holds them."""
_SEED_COVERAGE = 0.2
"""Share of a square that a dab has to cover; less is the rim of one beside it."""


def spread_hints(lines: Tensor, hints: Tensor) -> Tensor:
    """Lets every dab run, step by step, over paper to the lines; where colours meet, each keeps what it had first.

    Args:
        lines: (N, 1, H, W) in [-1, 1], ink below 0; H and W multiples of `CELL_PX`.
        hints: (N, 4, H, W), colour in [-1, 1] times coverage, and coverage in [0, 1].

    Returns:
        (N, 4, H, W): the colour that reaches a pixel, in [-1, 1], and how soon, from 1 under a dab to 0 where none comes.
    """
    paper = (F.max_pool2d(-lines, CELL_PX) < 0).to(hints.dtype)  # one dark pixel makes a square a wall
    pooled = F.avg_pool2d(hints, CELL_PX)
    coverage = pooled[:, 3:]
    is_seed = coverage > _SEED_COVERAGE
    colors = pooled[:, :3] / coverage.clamp(min=_SEED_COVERAGE)
    filled = torch.where(is_seed, torch.cat([colors, torch.ones_like(coverage)], dim=1), 0.0)  # (N, 4, H / 4, W / 4)
    gained_paper = _GAIN * paper
    rounds_filled = filled[:, 3:]
    for _ in range(ROUNDS):
        filled = _run(filled, gained_paper)
        weight = filled[:, 3:]  # so far colours are sums of neighbours times gains, and this is what to divide by
        filled = filled / torch.where(weight > 0, weight, 1.0)
        rounds_filled = rounds_filled + filled[:, 3:]
    # At last under the lines, which belong to what they bound: an outline to the part within, for no dab lies without.
    values = torch.cat([filled, rounds_filled], dim=1)
    for _ in range(UNDER_STEPS):
        nearby = _nearby(values)
        values = torch.where(values[:, 3:4] > 0, values, (1 - paper) * nearby / nearby[:, 3:4].clamp(min=1.0))
    spread = torch.cat([values[:, :3], values[:, 4:] / (ROUNDS + 1)], dim=1)
    return F.interpolate(spread, scale_factor=float(CELL_PX), mode="bilinear", align_corners=False)


def _run(filled: Tensor, gained_paper: Tensor) -> Tensor:
    """The steps of one round: squares of paper that have no colour yet take the sum of their neighbours times the gain."""
    if torch.compiler.is_exporting():
        for _ in range(ROUND_STEPS):
            filled = torch.where(filled[:, 3:] > 0, filled, _nearby(filled) * gained_paper)
        return filled
    # The same in place, much quicker outside a graph: what has no colour is 0, so that the sum may be added.
    padded = F.pad(filled, (1, 1, 1, 1))
    filled, weight = padded[:, :, 1:-1, 1:-1], padded[:, 3:, 1:-1, 1:-1]
    above, below, left, right = padded[:, :, :-2, 1:-1], padded[:, :, 2:, 1:-1], padded[:, :, 1:-1, :-2], padded[:, :, 1:-1, 2:]
    for _ in range(ROUND_STEPS):
        nearby = (above + below).add_(left).add_(right)
        filled.addcmul_(nearby, (weight <= 0) * gained_paper)
    return filled


def _nearby(values: Tensor) -> Tensor:
    """The sum of the four neighbours of each square by sides: over corners, colour would slip through a slanting line."""
    cross = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], device=values.device, dtype=values.dtype)
    channels = values.shape[1]
    return F.conv2d(values, cross.expand(channels, 1, 3, 3), padding=1, groups=channels)
