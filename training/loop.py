"""The training loop. It knows only the Family protocol, batches by position, and a run directory."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import torch
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from training.batches import derive_seed
from training.config import TrainConfig
from training.families.protocol import Batch, Family
from training.run import Run, RunError


class Batches(Protocol):
    """Batches by how many images came before."""

    def batch(self, position: int) -> Batch: ...


_NOISE = 1
"""Tells the seeds of noise from those of augmentation, which are made of the same numbers."""


class DivergedError(RuntimeError):
    """A loss became NaN or infinite; the last checkpoint is from before it."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and whether this process is the one that speaks of it."""

    images: int
    is_complete: bool
    is_main: bool


def learning_rate_factor(images: int, total_images: int, decay_start: float) -> float:
    """1 until `decay_start` of the run, then linear to 0 at its end."""
    constant = decay_start * total_images
    if images <= constant or constant >= total_images:
        return 1.0
    return max(0.0, (total_images - images) / (total_images - constant))


def train(
    family: Family,
    batches: Batches,
    config: TrainConfig,
    run: Run,
    *,
    draw_samples: Callable[[], Image.Image] | None = None,
    world_size: int = 1,
    rank: int = 0,
    any_rank: Callable[[bool], bool] = bool,
) -> Outcome:
    """Trains until `total_images`, or until Ctrl-C or SIGTERM, which end with a checkpoint.

    Raises:
        DivergedError: A loss is no longer finite.
    """
    images = restore(family, run) if run.checkpoint.is_file() else 0
    is_main = rank == 0
    if is_main:
        run.truncate_metrics(images)
    batch_size = config.optimizer.batch_size * world_size
    positions = range(0, config.optimizer.accumulate * batch_size, batch_size)
    total = config.optimizer.total_images
    meter = _Meter()
    with _stop_requested() as stop, _progress(is_main) as progress, _writer(run, is_main) as writer:
        task = progress.add_task(config.name, total=total, completed=images, note="")
        start = images
        while images < total and not any_rank(stop()):
            factor = learning_rate_factor(images, total, config.optimizer.decay_start)
            _set_learning_rate(family, config.optimizer.learning_rate * factor)
            losses = _seeded_step(family, batches, positions, (config.seed, images, rank))
            before, images = images, images + positions.stop
            _require_finite(losses, images)
            meter.add(losses)
            progress.update(task, completed=min(images, total), note=_note(losses, (images - start) / meter.seconds))
            if writer and _crossed(before, images, config.loop.log_every_images):
                values = {**meter.mean(), "learning_rate_factor": factor, "images_per_second": (images - start) / meter.seconds}
                run.log(images, values, writer)
            if writer and draw_samples and _crossed(before, images, config.loop.sample_every_images):
                run.save_sample(images, draw_samples(), writer)
            if writer and _crossed(before, images, config.loop.checkpoint_every_images):
                run.save_checkpoint(checkpoint_state(family, images))
        if writer and images > start:
            run.save_checkpoint(checkpoint_state(family, images))
            if draw_samples:
                run.save_sample(images, draw_samples(), writer)
    return Outcome(images=images, is_complete=images >= total, is_main=is_main)


def checkpoint_state(family: Family, images: int) -> dict[str, Any]:
    """All that a resumed run needs. Random state is not among it: every step draws from a seed of its position."""
    return {
        "images": images,
        "networks": family.networks.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in family.optimizers.items()},
    }


def restore(family: Family, run: Run) -> int:
    """Loads the last checkpoint into the family and returns how many images it had seen.

    Raises:
        RunError: The checkpoint does not fit the configuration.
    """
    state = run.load_checkpoint()
    load_networks(family, state, str(run.checkpoint))
    for name, optimizer in family.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    return int(state["images"])


def load_networks(family: Family, state: dict[str, Any], origin: str) -> None:
    """Loads weights only, for a warm start.

    Raises:
        RunError: Names or shapes differ.
    """
    try:
        family.networks.load_state_dict(state["networks"])
    except RuntimeError as error:
        raise RunError(f"{origin} does not fit this configuration: {error}") from error


def _set_learning_rate(family: Family, rate: float) -> None:
    for optimizer in family.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = rate


def _seeded_step(family: Family, batches: Batches, offsets: range, place: tuple[int, int, int]) -> dict[str, float]:
    """One step whose noise depends on seed, position and rank alone."""
    torch.manual_seed(derive_seed(*place, _NOISE))
    return family.step(*(batches.batch(place[1] + offset) for offset in offsets))


def _require_finite(losses: dict[str, float], images: int) -> None:
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise DivergedError(
            f"After {images} images {', '.join(bad)} is not finite. The last checkpoint is kept; resume with a lower "
            "optimizer.learning_rate or with loop.precision=32-true."
        )


def _crossed(before: int, after: int, every: int) -> bool:
    return before // every != after // every


def _note(losses: dict[str, float], speed: float) -> str:
    shown = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
    return f"{speed:.1f} images/s  {shown}"


class _Meter:
    """Means of losses since they were last asked for, and seconds since the start."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self._start, 1e-9)

    def add(self, losses: dict[str, float]) -> None:
        self._count += 1
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def mean(self) -> dict[str, float]:
        result = {name: value / max(self._count, 1) for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return result


@contextmanager
def _writer(run: Run, is_main: bool) -> Iterator[SummaryWriter | None]:
    """TensorBoard's, in the one process that writes."""
    if not is_main:
        yield None
        return
    with SummaryWriter(str(run.root / "tensorboard")) as writer:
        yield writer


@contextmanager
def _stop_requested() -> Iterator[Callable[[], bool]]:
    """A flag that Ctrl-C and SIGTERM raise; a second Ctrl-C interrupts at once."""
    asked: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        old = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever runs us there handles signals
        old = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _progress(is_main: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        disable=not is_main,
    )
