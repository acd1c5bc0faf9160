"""From a prepared data set in memory to augmented batches on the device; each depends on seed and position alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.augment import PairAugment, PictureAugment
from training.color_scheme import dominant_colors
from training.config import TrainConfig
from training.encoding import encode_inputs, encode_picture
from training.families.protocol import Batch
from training.hints import HintSampler
from training.source import SourceSpec


def derive_seed(*parts: int) -> int:
    """One 63-bit seed from several integers, so that neighbouring steps share nothing."""
    return int(np.random.SeedSequence(parts).generate_state(2, np.uint32).view(np.uint64)[0] >> np.uint64(1))


class PairedBatches:
    """Endless shuffled batches of pairs. `others_u8` are the inputs beside the main one, in the order of the spec.

    A batch depends on the seed and on how many images came before it, not on earlier draws: a resumed run sees what an unbroken
    one would have seen. In a distributed run each rank takes every `world_size`-th pair.
    """

    def __init__(
        self,
        source_u8: NDArray[np.uint8],
        target_u8: NDArray[np.uint8],
        config: TrainConfig,
        source: SourceSpec,
        *,
        others_u8: Sequence[NDArray[np.uint8]] = (),
        device: torch.device,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._source_u8 = _on_device(source_u8, device)
        self._others_u8 = [_on_device(images_u8, device) for images_u8 in others_u8]
        self._target_u8 = _on_device(target_u8, device)
        self._seed = config.seed
        self._size = config.optimizer.batch_size
        self._augment = PairAugment(config.augment, source)
        self._hints = HintSampler(config.hints) if config.hints.enabled else None
        self._scheme_colors = config.color_scheme.colors
        self._device, self._rank, self._world_size = device, rank, world_size

    def batch(self, position: int) -> Batch:
        """The batch that starts after `position` images."""
        generator = torch.Generator().manual_seed(derive_seed(self._seed, position, self._rank))
        indices = torch.from_numpy(self._indices(position)).to(self._device)
        others = [images_u8[indices] for images_u8 in self._others_u8]
        source, target = self._augment(self._source_u8[indices], self._target_u8[indices], generator, others)
        batch = {"source": source, "target": target}
        if self._hints is not None:
            batch["target"], batch["hints"] = self._hints(target, generator)
        if self._scheme_colors:
            batch["scheme"] = dominant_colors(batch["target"], self._scheme_colors)
        return batch

    def _indices(self, position: int) -> NDArray[np.int64]:
        return _shuffled(len(self._source_u8), _positions(position, self._size, self._rank, self._world_size), (self._seed,))


class UnpairedBatches:
    """Endless batches of two domains, `a` and `b`, each shuffled, augmented and begun anew on its own.

    Position and resume are as for pairs; an image of the schedule is one picture of each domain. Where the counts differ, the
    smaller domain comes round more often.
    """

    def __init__(
        self,
        a_u8: NDArray[np.uint8],
        b_u8: NDArray[np.uint8],
        config: TrainConfig,
        *,
        device: torch.device,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._pictures_u8 = {"a": _on_device(a_u8, device), "b": _on_device(b_u8, device)}
        self._seed = config.seed
        self._size = config.optimizer.batch_size
        self._augment = PictureAugment(config.augment)
        self._device, self._rank, self._world_size = device, rank, world_size

    def batch(self, position: int) -> Batch:
        """The batch that starts after `position` images."""
        generator = torch.Generator().manual_seed(derive_seed(self._seed, position, self._rank))
        positions = _positions(position, self._size, self._rank, self._world_size)
        batch = {}
        for stream, (domain, pictures_u8) in enumerate(self._pictures_u8.items()):
            indices = _shuffled(len(pictures_u8), positions, (self._seed, stream))
            batch[domain] = self._augment(pictures_u8[torch.from_numpy(indices).to(self._device)], generator)
        return batch


def _positions(position: int, size: int, rank: int, world_size: int) -> range:
    """Places in the endless order of images that one process takes after `position`."""
    return range(position + rank, position + size * world_size, world_size)


def _shuffled(count: int, positions: range, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """Which of `count` images lie at these places; every epoch has an order of its own."""
    return np.array([np.random.default_rng((*seed, at // count)).permutation(count)[at % count] for at in positions])


def held_out_batch(
    source_u8: NDArray[np.uint8],
    target_u8: NDArray[np.uint8],
    source: SourceSpec,
    device: torch.device,
    *,
    has_hints: bool,
    others_u8: Sequence[NDArray[np.uint8]] = (),
) -> Batch:
    """Pairs as they are, encoded and without hints, for samples and figures."""
    encoded = encode_inputs([_on_device(images_u8, device) for images_u8 in (source_u8, *others_u8)], source)
    target = encode_picture(_on_device(target_u8, device))
    batch = {"source": encoded, "target": target}
    if has_hints:
        batch["hints"] = torch.zeros(len(target), 4, *target.shape[2:], device=device)
    return batch


def _on_device(array: NDArray[np.uint8], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
