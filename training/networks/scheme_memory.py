"""The colour schemes that a seed chooses among: some that training pictures had, evenly over the hues that there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

HUE_BITS, PLACE_BITS = 3, 3
SCHEME_BITS = HUE_BITS + PLACE_BITS
"""Zeros and ones of the latent that choose a scheme."""
HUES, PLACES = 1 << HUE_BITS, 1 << PLACE_BITS
_CHROMA_MIN = 0.6
"""Largest less smallest of RGB, in [-1, 1], below which a colour has no hue to speak of."""


class SchemeMemory(nn.Module):
    """The last schemes of each hue. It has nothing to learn; as a buffer it is part of checkpoints and of served graphs.

    bits: (N, 6) of zeros and ones. Result: (N, 3 * colors), one scheme a sample, in [-1, 1]. Numbers between zero and one, as
    mixed latents have them, give a multilinear mean of schemes, which leads smoothly from one to another. They are drawn to the
    nearer end first: a mean of many schemes is gray.

    A set's commonest colour would fill a plain list of the latest; with as many places for each hue all are as likely. Schemes
    whose first colour is pale or gray are left out where there are others: a seed is asked for colour. In a distributed run
    each process has its own memory, and a checkpoint holds the first one's.
    """

    schemes: Tensor
    counts: Tensor

    def __init__(self, colors: int) -> None:
        super().__init__()
        self.register_buffer("schemes", torch.zeros(HUES * PLACES, 3 * colors))
        self.register_buffer("counts", torch.zeros(HUES, dtype=torch.int64))

    @torch.no_grad()
    def remember(self, schemes: Tensor) -> None:
        """Each of `schemes` (M, 3 * colors) takes the oldest place of its hue.

        Places that have none of theirs as yet are taken in turn by all that come; the very first fills them all.
        """
        counts: list[int] = self.counts.tolist()
        for scheme, first in zip(schemes.to(self.schemes), schemes[:, :3].tolist(), strict=True):
            hue, seen = _hue_of(first), sum(counts)
            if hue is None and seen:
                continue
            free = [
                place for place in range(HUES * PLACES)
                if place % PLACES >= counts[place // PLACES] and (not seen or place % PLACES == seen % PLACES)
            ]  # fmt: skip
            self.schemes[free] = scheme
            if hue is not None:
                self.schemes[hue * PLACES + counts[hue] % PLACES] = scheme
                counts[hue] += 1
        self.counts.copy_(torch.tensor(counts))

    def forward(self, bits: Tensor) -> Tensor:
        weights = torch.ones_like(bits[:, :1])
        for bit in range(SCHEME_BITS):
            chosen = _drawn_to_ends(_drawn_to_ends(bits[:, bit : bit + 1]))
            weights = torch.cat([weights * (1 - chosen), weights * chosen], dim=1)  # (N, 2**(bit + 1))
        return weights @ self.schemes

    def draw(self, count: int) -> Tensor:
        """Schemes at random: (count, 3 * colors)."""
        chosen = torch.randint(len(self.schemes), (count,), device=self.schemes.device)
        return self.schemes[chosen]


def _drawn_to_ends(share: Tensor) -> Tensor:
    """Smoothstep: 0, 1/2 and 1 stay."""
    return share * share * (3 - 2 * share)


def _hue_of(color: Sequence[float]) -> int | None:
    """Which of `HUES` parts of the colour circle a colour in [-1, 1] lies in; None for one that is nearly gray."""
    red, green, blue = color
    if max(red, green, blue) - min(red, green, blue) < _CHROMA_MIN:
        return None
    angle = math.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue)  # of the hue, 0 at red
    return round(angle / (2 * math.pi) * HUES) % HUES
