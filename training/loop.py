"""The training loop. It knows only the Family protocol, batches by position, and a run directory."""

from __future__ import annotations

import gc
import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Protocol

import torch

from training.batches import derive_seed
from training.checkpoint import Course
from training.config import LoopConfig, OptimizerConfig, TrainConfig
from training.families.protocol import Batch, Family
from training.guard import Guard
from training.record import Witness, open_record
from training.run import Run
from training.watch import Best


class Batches(Protocol):
    """Batches by how many images came before."""

    def batch(self, position: int) -> Batch: ...


_NOISE = 1
"""Tells the seeds of noise from those of augmentation, which are made of the same numbers."""


SETTLING_STEPS = 20
"""By then networks are compiled for every size that they see."""


class Ending(StrEnum):
    """Why a run ended."""

    COMPLETE = "complete"
    ASKED = "asked"
    NO_BETTER = "no better"


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and whether this process is the one that speaks of it.

    Attributes:
        begun_at: Images that the run had seen before.
        best: The best held-out figure, where one is watched.
    """

    images: int
    begun_at: int
    ending: Ending
    best: Best | None
    is_main: bool

    @property
    def is_complete(self) -> bool:
        return self.ending is Ending.COMPLETE

    def words(self, root: Path) -> str:
        """Why the run in `root` ended, which weights were best, and what to do next."""
        best = f" Best {self.best.metric}: {self.best.value:g} after {self.best.images} images." if self.best else ""
        following = f" Next: inkwash-train evaluate {root}"
        if self.ending is Ending.COMPLETE:
            return f"Done: {self.images} images in {root}.{best}{following}"
        if self.ending is Ending.ASKED:
            return f"Stopped after {self.images} images; go on with --resume auto.{best}"
        stale = f"its last {self.best.stale} validations were no better" if self.best else ""
        how = "Nothing was trained: the run had ended" if self.images == self.begun_at else "Ended early"
        higher = "raise loop.early_stop_patience, or set it to 0, to go on."
        return f"{how} after {self.images} images in {root}, since {stale}; {higher}{best}{following}"


def learning_rate_factor(images: int, total_images: int, decay_start: float, warmup_images: int = 0) -> float:
    """Linear to 1 over `warmup_images`, 1 until `decay_start` of the run, then linear to 0 at its end."""
    if images < warmup_images:
        return (images + 1) / (warmup_images + 1)
    constant = decay_start * total_images
    if images <= constant or constant >= total_images:
        return 1.0
    return max(0.0, (total_images - images) / (total_images - constant))


def _rate_factor(config: TrainConfig, images: int) -> float:
    options = config.optimizer
    return learning_rate_factor(images, options.total_images, options.decay_start, options.warmup_images)


def train(
    family: Family,
    batches: Batches,
    config: TrainConfig,
    run: Run,
    witness: Witness | None = None,
    *,
    world_size: int = 1,
    rank: int = 0,
    any_rank: Callable[[bool], bool] = bool,
) -> Outcome:
    """Trains until `total_images`, until a watched figure gets no better, or until Ctrl-C or SIGTERM; leaves a checkpoint.

    Where a loss or a weight is lost it goes back to the last checkpoint (`training/guard.py`).

    Raises:
        DivergedError: It went back as often as it may.
    """
    is_main, total = rank == 0, config.optimizer.total_images
    guard = Guard(family, run, config.loop, is_main=is_main)
    course = start = guard.begin()
    offsets = _offsets(config.optimizer, world_size)
    witness = witness or Witness()
    with _stop_requested() as stop, settling() as settle, open_record(family, config, run, witness, is_main=is_main) as record:
        while course.images < total and not any_rank(stop() or _is_exhausted(course, config.loop)):
            factor = course.learning_rate_scale * _rate_factor(config, course.images)
            _set_learning_rate(family, config.optimizer.learning_rate * factor)
            losses = _seeded_step(family, batches, offsets, (config.seed, course.place, rank))
            settle()
            after = replace(course, images=course.images + offsets.stop)
            trouble = guard.find_trouble(losses, after if record.keeps_weights(course, after) else None)
            if any_rank(trouble is not None):
                trouble = f"After {after.images} images {trouble or 'the loss of another process is not finite'}"
                course = guard.go_back(course, trouble)
                record.go_back(course, trouble)
            else:
                course = record.step(course, after, losses, factor)
        if course.images > start.images:
            guard.require_sound(course)
            record.end(course)
    return Outcome(course.images, start.images, _ending(course, config), course.best, is_main)


@contextmanager
def settling(steps: int = SETTLING_STEPS) -> Iterator[Callable[[], None]]:
    """Gives what is to be called after each step: after so many, garbage collection leaves alone what is there by then.

    Importing and compiling leave a million objects, which every full collection would walk for a quarter of a second.
    """
    count = itertools.count(1)

    def settle() -> None:
        if next(count) == steps:
            gc.collect()
            gc.freeze()

    try:
        yield settle
    finally:
        gc.unfreeze()


def _offsets(options: OptimizerConfig, world_size: int) -> range:
    """Where the batches of one step start, from the step's own position; the range ends where the next step starts."""
    batch_size = options.batch_size * world_size
    return range(0, options.accumulate * batch_size, batch_size)


def _is_exhausted(course: Course, loop: LoopConfig) -> bool:
    """Whether the figure that is watched has got no better for too long."""
    best = course.best
    return best is not None and best.metric == loop.keep_best and best.is_exhausted(loop.early_stop_patience)


def _ending(course: Course, config: TrainConfig) -> Ending:
    if course.images >= config.optimizer.total_images:
        return Ending.COMPLETE
    return Ending.NO_BETTER if _is_exhausted(course, config.loop) else Ending.ASKED


def _set_learning_rate(family: Family, rate: float) -> None:
    for optimizer in family.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = rate


def _seeded_step(family: Family, batches: Batches, offsets: range, place: tuple[int, int, int]) -> dict[str, float]:
    """One step whose noise depends on seed, position and rank alone."""
    torch.manual_seed(derive_seed(*place, _NOISE))
    return family.step(*(batches.batch(place[1] + offset) for offset in offsets))


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
