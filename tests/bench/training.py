"""Promise: training is quick. A published configuration beside a plain loop of the same networks.

The plain loop is what papers' code does on a processor: float32, one image a step, contiguous layout. It gets its images
ready-made, while ours cuts, warps and hints its own, so the ratio errs on the careful side.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from server.processors import usable_cores
from tests.bench.row import Row, ratio_at_least
from training.batches import PairedBatches
from training.config import CONFIG_FOLDER, TrainConfig, load_config
from training.families import FAMILIES
from training.source import SourceSpec

MIN_RATIO = 3.0
PAIRS = 16
STEPS = 2
SOURCES = {
    "emoji": SourceSpec(kind="line", channels=1),
    "facades": SourceSpec(kind="labels", channels=1, classes=12),
}
"""Configuration by name, with what its data set feeds it. The pictures are noise: arithmetic takes as long on them."""


def rows(*, quick: bool) -> Iterator[Row]:
    """Images a second of each published configuration."""
    torch.set_num_threads(usable_cores())
    for name, source in list(SOURCES.items())[: 1 if quick else None]:
        yield _row(name, source, seconds=20 if quick else 120)


def _row(name: str, source: SourceSpec, seconds: float) -> Row:
    # Whole pictures on both sides, whatever crops the configuration trains on.
    config = load_config(CONFIG_FOLDER / f"{name}.toml", ["augment.crop_size=0"])
    fabric = Fabric(accelerator="cpu", devices=1, precision=config.loop.precision)
    torch.manual_seed(0)
    family = FAMILIES[config.family](config, source, fabric)
    batches = _noise_pairs(config, source)
    batch_size = config.optimizer.batch_size
    plain = PlainLoop(family.networks["generator"], family.networks["discriminator"], config.loss.lambda_l1)
    batch = batches.batch(0)
    condition = torch.cat([batch["source"], batch["hints"]], 1) if "hints" in batch else batch["source"]

    def ours(position: int) -> None:
        family.step(batches.batch(position * batch_size))

    def theirs(position: int) -> None:
        index = position % len(condition)
        plain.step(condition[index : index + 1].contiguous(), batch["target"][index : index + 1].contiguous())

    our_seconds, their_seconds = _alternate(ours, theirs, seconds)
    promise = f"training {name}: batch {batch_size}, {config.loop.precision}, beside plain float32, batch 1"
    return ratio_at_least(promise, batch_size / our_seconds, 1 / their_seconds, MIN_RATIO, "images/s")


def _alternate(ours: Callable[[int], None], theirs: Callable[[int], None], seconds: float) -> tuple[float, float]:
    """Seconds a step of each, two steps in turn, so that both meet the same machine. The first round only warms up."""
    totals = [0.0, 0.0]
    rounds = 0
    deadline = time.monotonic() + seconds
    while rounds < 2 or time.monotonic() < deadline:
        for side, work in enumerate((ours, theirs)):
            start = time.perf_counter()
            for step in range(STEPS):
                work(rounds * STEPS + step)
            totals[side] += (time.perf_counter() - start) * (rounds > 0)
        rounds += 1
    counted = (rounds - 1) * STEPS
    return totals[0] / counted, totals[1] / counted


def _noise_pairs(config: TrainConfig, source: SourceSpec) -> PairedBatches:
    generator = np.random.default_rng(0)
    side = config.augment.image_size
    values = source.classes or 256
    source_u8 = generator.integers(0, values, (PAIRS, side, side, source.channels), dtype=np.uint8)
    target_u8 = generator.integers(0, 256, (PAIRS, side, side, 3), dtype=np.uint8)
    return PairedBatches(source_u8, target_u8, config, source, device=torch.device("cpu"))


class PlainLoop:
    """pix2pix as it is written down: float32, contiguous, one optimiser each, no average."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, lambda_l1: float) -> None:
        self._generator, self._discriminator = _plain_copy(generator), _plain_copy(discriminator)
        self._generator_optimizer = Adam(self._generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self._discriminator_optimizer = Adam(self._discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self._lambda_l1 = lambda_l1

    def step(self, condition: Tensor, target: Tensor) -> None:
        """One image: the discriminator's update, then the generator's."""
        noise = torch.empty(len(condition), int(self._generator.noise_size)).bernoulli_(0.5)  # type: ignore[arg-type]
        fake = self._generator(condition, noise)
        self._discriminator.requires_grad_(True)
        real_logits = self._discriminator(torch.cat([condition, target], 1))
        fake_logits = self._discriminator(torch.cat([condition, fake.detach()], 1))
        self._discriminator_optimizer.zero_grad()
        (0.5 * (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean())).backward()
        self._discriminator_optimizer.step()
        self._discriminator.requires_grad_(False)
        logits = self._discriminator(torch.cat([condition, fake], 1))
        self._generator_optimizer.zero_grad()
        (F.softplus(-logits).mean() + self._lambda_l1 * F.l1_loss(fake, target)).backward()
        self._generator_optimizer.step()


def _plain_copy(network: nn.Module) -> nn.Module:
    plain: nn.Module = copy.deepcopy(network).float().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return plain.requires_grad_(True)
