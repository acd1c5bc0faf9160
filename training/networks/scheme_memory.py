"""The colour schemes that a seed chooses among: some that training pictures had, evenly over all hues."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

HUE_BITS, PLACE_BITS = 3, 3
SCHEME_BITS = HUE_BITS + PLACE_BITS
"""Zeros and ones of the latent that choose a scheme."""
HUES, PLACES = 1 << HUE_BITS, 1 << PLACE_BITS
_CHROMA_MIN = 0.4
"""Largest less smallest of RGB, in [-1, 1], below which a colour has no hue to speak of."""


class SchemeMemory(nn.Module):
    """The last schemes of each hue. It has nothing to learn; as a buffer it is part of checkpoints and of served graphs.

    bits: (N, 6) of zeros and ones. Result: (N, 3 * colors), one scheme a sample, in [-1, 1]. Between zero and one it is a
    multilinear mean of schemes, so that mixed latents lead smoothly from one to another.

    A set's commonest colour would fill a plain list of the latest; with as many places for each hue all are as likely. Schemes
    whose first colour is pale or gray are left out where there are others: a seed is asked for colour.
    """

    schemes: Tensor
    counts: Tensor

    def __init__(self, colors: int) -> None:
        super().__init__()
        self.register_buffer("schemes", torch.zeros(HUES * PLACES, 3 * colors))
        self.register_buffer("counts", torch.zeros(HUES, dtype=torch.int64))

    @torch.no_grad()
    def remember(self, schemes: Tensor) -> None:
        """Each of `schemes` (M, 3 * colors) takes the oldest place of its hue, and places that have none of theirs as yet."""
        for scheme in schemes.to(self.schemes):
            empty = self.counts.repeat_interleave(PLACES) <= torch.arange(PLACES, device=self.counts.device).repeat(HUES)
            self.schemes[empty] = scheme
            hue = _hue_of(scheme[:3])
            if hue is not None:
                self.schemes[hue * PLACES + int(self.counts[hue]) % PLACES] = scheme
                self.counts[hue] += 1

    def forward(self, bits: Tensor) -> Tensor:
        weights = torch.ones_like(bits[:, :1])
        for bit in range(SCHEME_BITS):
            chosen = bits[:, bit : bit + 1]
            weights = torch.cat([weights * (1 - chosen), weights * chosen], dim=1)  # (N, 2**(bit + 1))
        return weights @ self.schemes

    def draw(self, count: int) -> Tensor:
        """Schemes at random: (count, 3 * colors)."""
        chosen = torch.randint(len(self.schemes), (count,), device=self.schemes.device)
        return self.schemes[chosen]


def _hue_of(color: Tensor) -> int | None:
    """Which of `HUES` parts of the colour circle a colour (3,) lies in; None for one that is nearly gray."""
    red, green, blue = (float(value) for value in color)
    if max(red, green, blue) - min(red, green, blue) < _CHROMA_MIN:
        return None
    angle = math.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue)  # of the hue, 0 at red
    return round(angle / (2 * math.pi) * HUES) % HUES
