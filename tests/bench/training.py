"""Promise: training is quick. Our loop beside a plain loop of the same networks, at the paper's recipe.

The plain loop is what papers' code does on a processor: float32, the paper's batch, contiguous layout, every picture judged
whole. It gets its pictures ready-made, while ours cuts, warps and hints its own, so the ratio errs on the careful side. Both
sides see whole pictures of 256 pixels, whatever crops a configuration trains on.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from server.processors import usable_cores
from tests.bench.plain import PlainColorizer, PlainCycleGAN, PlainLoop, PlainPix2Pix
from tests.bench.row import Row, ratio_at_least
from training.batches import PairedBatches, UnpairedBatches
from training.compilation import compile_networks
from training.config import CONFIG_FOLDER, TrainConfig, load_config, parse_config
from training.families import FAMILIES
from training.families.protocol import Batch
from training.loop import settling
from training.source import SourceSpec
from training.spread import spread_hints

MIN_RATIO = 3.0
PAIRS = 16
STEPS = 2


@dataclass(frozen=True)
class Contest:
    """What is measured: a configuration, what its data set feeds it, and the plain loop beside it."""

    title: str
    config: TrainConfig
    source: SourceSpec
    paper_batch: int
    plain: Callable[[nn.ModuleDict], PlainLoop]


def contests() -> Iterator[Contest]:
    """The paper's own networks first, then every published configuration that ends in a bundled model."""
    networks = parse_config(
        {
            "name": "pix2pix",
            "data": "none",
            "discriminator": {"window": 128},
            "optimizer": {"batch_size": 8},
            "loop": {"precision": "bf16-mixed", "compile": "auto"},
        }
    )
    line = SourceSpec(kind="line", channels=1)
    yield Contest("pix2pix, the paper's networks", networks, line, 1, lambda made: PlainPix2Pix(made, 100))
    yield Contest("emoji", _published("emoji"), line, 1, lambda made: PlainPix2Pix(made, 100))
    labels = SourceSpec(kind="labels", channels=1, classes=12)
    yield Contest("facades", _published("facades"), labels, 1, lambda made: PlainPix2Pix(made, 100))
    gray = SourceSpec(kind="gray", channels=1)
    yield Contest("colorize", _published("colorize"), gray, 4, lambda made: PlainColorizer(made, 75, 25))
    photo = SourceSpec(kind="photo", channels=3)
    flowers = _published("golden-violet")
    losses = flowers.cyclegan.lambda_cycle, flowers.cyclegan.lambda_identity
    yield Contest("golden-violet", flowers, photo, 1, lambda made: PlainCycleGAN(made, *losses))


def rows(*, quick: bool) -> Iterator[Row]:
    """Images a second on both sides; each contest in a process of its own, as runs are: one leaves memory to the next."""
    context = multiprocessing.get_context("spawn")
    for contest in contests():
        with ProcessPoolExecutor(1, mp_context=context) as process:
            yield process.submit(_measured, contest.title, 15 if quick else 90).result()


def _measured(title: str, seconds: float) -> Row:
    torch.set_num_threads(usable_cores())
    (contest,) = (contest for contest in contests() if contest.title == title)
    return _row(contest, seconds)


def _published(name: str) -> TrainConfig:
    """A configuration without its crops; its window is as large a part of a whole picture as it was of a crop."""
    config = load_config(CONFIG_FOLDER / f"{name}.toml")
    if not config.augment.crop_size:
        return config
    window = config.discriminator.window * config.augment.image_size // config.augment.crop_size
    return load_config(CONFIG_FOLDER / f"{name}.toml", ["augment.crop_size=0", f"discriminator.window={window}"])


def _row(contest: Contest, seconds: float) -> Row:
    config = contest.config
    fabric = Fabric(accelerator="cpu", devices=1, precision=config.loop.precision)
    torch.manual_seed(0)
    family = FAMILIES[config.family](config, contest.source, fabric)
    plain = contest.plain(family.networks)
    is_compiled = compile_networks(family.networks, config.loop.compile, fabric.device)
    batches = _noise(config, contest.source)
    ours_images, theirs_images = config.optimizer.batch_size, contest.paper_batch
    ready = [_ready(_noise(config, contest.source, theirs_images).batch(k * theirs_images), config) for k in range(2)]

    def ours(step: int) -> None:
        family.step(batches.batch(step * ours_images))

    our_seconds, their_seconds = _alternate(ours, lambda step: plain.step(ready[step % 2]), seconds)
    window = f", windows of {config.discriminator.window}" if config.discriminator.window else ""
    shrunk = f", at 1/{config.color.shrink} of the side" if config.color.shrink > 1 else ""
    compiled = ", compiled" if is_compiled else ""
    promise = (
        f"training {contest.title}: batch {ours_images}, {config.loop.precision}{window}{shrunk}{compiled}, "
        f"beside plain float32, batch {theirs_images}"
    )
    return ratio_at_least(promise, ours_images / our_seconds, theirs_images / their_seconds, MIN_RATIO, "images/s")


def _ready(batch: Batch, config: TrainConfig) -> Batch:
    """What the plain loop is given, in its layout."""
    if config.hints.enabled and config.hints.spread:
        batch = {**batch, "spread": spread_hints(batch["source"], batch["hints"])}
    if "scheme" in batch:
        batch = {**batch, "scheme": batch["scheme"][:, :, None, None].expand(-1, -1, *batch["source"].shape[2:])}
    return {name: pictures.contiguous() for name, pictures in batch.items()}


def _alternate(ours: Callable[[int], None], theirs: Callable[[int], None], seconds: float) -> tuple[float, float]:
    """Seconds a step of each, two steps in turn, so that both meet the same machine. The first round warms up and compiles."""
    totals = [0.0, 0.0]
    rounds, deadline = 0, math.inf
    with settling(steps=1) as settle:  # for both: a full collection belongs to neither side
        while rounds < 2 or time.monotonic() < deadline:
            for side, work in enumerate((ours, theirs)):
                start = time.perf_counter()
                for step in range(STEPS):
                    work(rounds * STEPS + step)
                totals[side] += (time.perf_counter() - start) * (rounds > 0)
            settle()
            rounds += 1
            deadline = min(deadline, time.monotonic() + seconds)
    counted = (rounds - 1) * STEPS
    return totals[0] / counted, totals[1] / counted


def _noise(config: TrainConfig, source: SourceSpec, batch_size: int | None = None) -> PairedBatches | UnpairedBatches:
    """Endless batches. The pictures are noise: arithmetic takes as long on them."""
    if batch_size:
        config = config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"batch_size": batch_size})})
    generator = np.random.default_rng(0)
    shape, cpu = (PAIRS, config.augment.image_size, config.augment.image_size), torch.device("cpu")
    source_u8 = generator.integers(0, source.classes or 256, (*shape, source.channels), dtype=np.uint8)
    target_u8 = generator.integers(0, 256, (*shape, 3), dtype=np.uint8)
    if source.kind == "photo":
        return UnpairedBatches(source_u8, target_u8, config, device=cpu)
    return PairedBatches(source_u8, target_u8, config, source, device=cpu)
