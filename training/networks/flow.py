"""A conditional normalising flow over small pictures: affine couplings on several scales, built of FrEIA's blocks."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from FrEIA.modules import GLOWCouplingBlock, HaarDownsampling, InvertibleModule, PermuteRandom
from torch import Tensor, nn

REBALANCE = 0.5
"""Factor on Haar's components: averages keep their size from level to level, and early training stays tame."""


@dataclass(frozen=True)
class FlowLevel:
    """One scale of the flow, at half the side of the one before.

    Attributes:
        couplings: Two-sided affine couplings, each with a fixed random permutation after it.
        hidden: Channels inside the networks that give scale and shift.
        keep: Channels that go on to the next scale; the others are latent from here on.
    """

    couplings: int
    hidden: int
    keep: int


class ConditionalFlow(nn.Module):
    """Maps a picture to a Gaussian latent of as many numbers, and back (Ardizzone et al. 2019, 3 and appendix B).

    Each level halves the side by Haar wavelets (4 times the channels), couples, and lets only `keep` channels go on, so that
    coarse colour gets most of the arithmetic. What is left at the end is flattened and coupled whole, which makes distant
    places agree. Scales are softly clamped: exp(clamp * 0.636 * atan(s)), within exp(+-clamp).

    Args:
        channels: Of the picture.
        side: Of the picture; a multiple of 2**(len(levels) + 1).
        condition_channels: Of the condition's maps, one map a level, each as large as its level.
        vector_channels: Of the condition's vector, seen by the couplings of the whole.
    """

    def __init__(
        self,
        channels: int,
        side: int,
        levels: Sequence[FlowLevel],
        *,
        dense: FlowLevel,
        condition_channels: int,
        vector_channels: int,
        clamp: float,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _require_fitting(channels, side, levels, dense)
        self.channels, self.side = channels, side
        self.latent_size = channels * side * side
        # At the end of the latent: what the coarsest wavelets and the coupled whole leave.
        self.coarse_size = levels[-1].keep * (side // 2 ** len(levels)) ** 2
        self._keep = [*(level.keep for level in levels), dense.keep]
        self.sides = [side // 2 ** (depth + 1) for depth in range(len(levels))]
        seeds = iter(np.random.SeedSequence(seed).generate_state(256))
        self.halvings, self.stages = nn.ModuleList(), nn.ModuleList()
        for level, extent in zip(levels, self.sides, strict=True):
            self.halvings.append(_haar(channels, 2 * extent))
            dims = (4 * channels, extent, extent)
            self.stages.append(_Couplings(dims, (condition_channels, extent, extent), level, clamp, seeds, _convolutions))
            channels = level.keep
        last = self.sides[-1]
        self.halvings.append(_haar(channels, last))
        self.rest_shape = (dense.keep, last // 2, last // 2)
        size = math.prod(self.rest_shape)
        self.whole = _Couplings((size,), (vector_channels,), dense, clamp, seeds, _dense_layers)

    def forward(self, picture: Tensor, maps: Sequence[Tensor], vector: Tensor) -> tuple[Tensor, Tensor]:
        """(N, channels, side, side) to the latent (N, latent_size) and log |det J| (N,), summed over the picture."""
        values, log_det, latents = picture, picture.new_zeros(picture.shape[0]), []
        for depth, halving in enumerate(self.halvings):
            values, constant = _undisturbed(halving, values, rev=False)
            log_det = log_det + constant
            if depth < len(self.stages):
                values, change = self._stage(depth).transform(values, maps[depth])
                log_det = log_det + change
            keep = self._keep[depth]
            latents.append(values[:, keep:].flatten(1))
            values = values[:, :keep]
        values, change = self.whole.transform(values.flatten(1), vector)
        return torch.cat([*latents, values], dim=1), log_det + change

    def inverse(self, latent: Tensor, maps: Sequence[Tensor], vector: Tensor) -> Tensor:
        """The picture of a latent, (N, latent_size) to (N, channels, side, side)."""
        parts = torch.split(latent, self._part_sizes(), dim=1)
        values = self.whole.transform_back(parts[-1], vector).reshape(-1, *self.rest_shape)
        for depth in range(len(self.halvings) - 1, -1, -1):
            extent = values.shape[-1]
            if left := self._left(depth):
                values = torch.cat([values, parts[depth].reshape(-1, left, extent, extent)], dim=1)
            if depth < len(self.stages):
                values = self._stage(depth).transform_back(values, maps[depth])
            values, _ = _undisturbed(self.halvings[depth], values, rev=True)
        return values

    def _stage(self, depth: int) -> _Couplings:
        return cast(_Couplings, self.stages[depth])

    def _left(self, depth: int) -> int:
        """Channels that become latent at a level."""
        return 4 * (self.channels, *self._keep)[depth] - self._keep[depth]

    def _part_sizes(self) -> list[int]:
        """Numbers of the latent that each level leaves, finest first, then those of the whole."""
        sizes = [self._left(depth) * (self.side // 2 ** (depth + 1)) ** 2 for depth in range(len(self._keep))]
        return [*sizes, math.prod(self.rest_shape)]


def _require_fitting(channels: int, side: int, levels: Sequence[FlowLevel], dense: FlowLevel) -> None:
    step = 2 ** (len(levels) + 1)
    if side % step:
        raise ValueError(
            f"The flow's pictures have {side} pixels a side; with {len(levels)} levels it must be a multiple of {step}."
        )
    for level in (*levels, dense):
        if level.keep > 4 * channels:
            raise ValueError(f"A level of the flow keeps {level.keep} channels, but only {4 * channels} enter it; keep fewer.")
        channels = level.keep


class _Couplings(nn.ModuleList):
    """Couplings and permutations by turns: without those the same half would always be changed by the same other one.

    Values stay float32 whatever arithmetic the networks inside have.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        condition: tuple[int, ...],
        level: FlowLevel,
        clamp: float,
        seeds: Iterator[int],
        make: Callable[[int, int, int], nn.Module],
    ) -> None:
        super().__init__()
        for _ in range(level.couplings):
            subnetwork = functools.partial(make, level.hidden)
            self.append(GLOWCouplingBlock([dims], [condition], subnetwork, clamp=clamp, clamp_activation=_soft_sign))
            self.append(_permutation(dims, next(seeds)))

    def transform(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The values of `dims`, and what this adds to log |det J|, (N,)."""
        log_det = values.new_zeros(values.shape[0])
        for block in self:
            if isinstance(block, PermuteRandom):
                (values,), _ = block([values])
            else:
                (values,), change = block([values], [condition])
                log_det = log_det + change
        return values, log_det

    def transform_back(self, values: Tensor, condition: Tensor) -> Tensor:
        """What `transform` was given."""
        for block in reversed(self):
            given = () if isinstance(block, PermuteRandom) else ([condition],)
            (values,), _ = block([values], *given, rev=True)
        return values


def _convolutions(hidden: int, inputs: int, outputs: int) -> nn.Module:
    """The network that gives scale and shift of maps."""
    return _changing_nothing(
        nn.Conv2d(inputs, hidden, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(hidden, outputs, 3, padding=1)
    )


def _dense_layers(hidden: int, inputs: int, outputs: int) -> nn.Module:
    """The same for vectors."""
    return _changing_nothing(nn.Linear(inputs, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, outputs))


def _changing_nothing(first: nn.Conv2d | nn.Linear, activation: nn.Module, last: nn.Conv2d | nn.Linear) -> nn.Module:
    """Begins with scale 1 and shift 0, so that a deep flow begins as its wavelets alone."""
    nn.init.kaiming_normal_(first.weight, 0.1)
    nn.init.zeros_(cast(Tensor, first.bias))
    nn.init.zeros_(last.weight)
    nn.init.zeros_(cast(Tensor, last.bias))
    return nn.Sequential(first, activation, last)


def _soft_sign(scale: Tensor) -> Tensor:
    return 0.636 * torch.atan(scale)


def _permutation(dims: tuple[int, ...], seed: int) -> InvertibleModule:
    """FrEIA seeds NumPy's global generator, which is put back; its indices are no weights, and become buffers."""
    state = np.random.get_state()
    try:
        return _without_gradients(PermuteRandom([dims], seed=int(seed)))
    finally:
        np.random.set_state(state)


def _haar(channels: int, side: int) -> InvertibleModule:
    return _without_gradients(HaarDownsampling([(channels, side, side)], order_by_wavelet=True, rebalance=REBALANCE))


def _without_gradients(block: InvertibleModule) -> InvertibleModule:
    """Turns constants that FrEIA keeps as parameters into buffers: they are never learned, and some are integers."""
    for name, constant in list(block.named_parameters(recurse=False)):
        delattr(block, name)
        block.register_buffer(name, constant.detach())
    return block


def _undisturbed(halving: nn.Module, values: Tensor, *, rev: bool) -> tuple[Tensor, float]:
    """Wavelets as exact as their weights always: what is rounded away would be lost to the likelihood and to the way back."""
    with torch.autocast(values.device.type, enabled=False):
        (values,), change = halving([values.to(cast(Tensor, halving.haar_weights).dtype)], rev=rev)
    return values, float(change)
