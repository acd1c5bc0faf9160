"""What is told and kept while a run trains: progress, metrics, samples, held-out figures, checkpoints. It updates no weight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from training.checkpoint import Course, checkpoint_state, weights_state
from training.config import TrainConfig
from training.families.protocol import Family
from training.run import Run
from training.watch import judged


@dataclass(frozen=True)
class Witness:
    """What can be asked of the model as it would be served now; None for what is not asked.

    Attributes:
        draw_samples: A sheet of held-out pictures.
        validate: Held-out figures by name. Neither of the two may disturb the training.
    """

    draw_samples: Callable[[], Image.Image] | None = None
    validate: Callable[[], Mapping[str, float]] | None = None


class Record:
    """The record of one run. Only the main process has one that writes."""

    def __init__(
        self, family: Family, config: TrainConfig, run: Run, witness: Witness, writer: SummaryWriter | None, progress: Progress
    ) -> None:
        self._family, self._config, self._run, self._witness = family, config, run, witness
        self._writer, self._progress = writer, progress
        self._task = progress.add_task(config.name, total=config.optimizer.total_images, note="")
        self._meter = _Meter()

    def keeps_weights(self, before: Course, after: Course) -> bool:
        """Whether a step brings a run to where its weights are kept or measured; every process says the same."""
        every = self._config.loop.checkpoint_every_images
        return crossed(before, after, every) or self._is_validation(before, after) or self._is_end(after)

    def step(self, before: Course, after: Course, losses: Mapping[str, float], rate_factor: float) -> Course:
        """Writes down what a step makes due; returns where the run is, with the best figure when one was measured."""
        loop, run, writer, course = self._config.loop, self._run, self._writer, after
        self._meter.add(losses, after.images - before.images)
        self._tell(after, losses)
        if writer is None:
            return course
        if crossed(before, after, loop.log_every_images):
            rates = {"learning_rate_factor": rate_factor, "images_per_second": self._meter.speed}
            run.log(after.images, {**self._meter.mean(), **rates}, writer)
        if self._witness.draw_samples and crossed(before, after, loop.sample_every_images):
            run.save_sample(after.images, self._witness.draw_samples(), writer)
        if self._is_validation(before, after):
            course = self._validate(course, writer)
        if crossed(before, after, loop.checkpoint_every_images):
            run.save_checkpoint(checkpoint_state(self._family, course))
        return course

    def go_back(self, course: Course, trouble: str) -> None:
        """Says that the run went back, and forgets the losses since then."""
        self._meter.mean()
        self._progress.update(self._task, completed=course.images)
        self._progress.console.print(f"{trouble}: went back to {course.images} images, with a lower learning rate.")

    def end(self, course: Course) -> None:
        """Keeps a run that has moved where it ends."""
        if self._writer is None:
            return
        self._run.save_checkpoint(checkpoint_state(self._family, course))
        if self._witness.draw_samples:
            self._run.save_sample(course.images, self._witness.draw_samples(), self._writer)

    def _tell(self, course: Course, losses: Mapping[str, float]) -> None:
        note = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        completed = min(course.images, self._config.optimizer.total_images)
        self._progress.update(self._task, completed=completed, note=f"{self._meter.speed:.1f} images/s  {note}")

    def _validate(self, course: Course, writer: SummaryWriter) -> Course:
        """Measures held-out figures, and keeps the weights where the watched one was never better."""
        if self._witness.validate is None:
            return course
        figures, metric = self._witness.validate(), self._config.loop.keep_best
        self._run.log(course.images, {f"val/{name}": value for name, value in figures.items()}, writer)
        if metric is None:
            return course
        course = replace(course, best=judged(course.best, metric, figures[metric], course.images))
        if course.best and course.best.images == course.images:
            self._run.save_best(weights_state(self._family, course))
            # With it, so that the best weights are never later than those that a run goes on from.
            self._run.save_checkpoint(checkpoint_state(self._family, course))
        return course

    def _is_validation(self, before: Course, after: Course) -> bool:
        every = self._config.loop.validate_every_images
        return every > 0 and (crossed(before, after, every) or self._is_end(after))

    def _is_end(self, course: Course) -> bool:
        return course.images >= self._config.optimizer.total_images


@contextmanager
def open_record(family: Family, config: TrainConfig, run: Run, witness: Witness, *, is_main: bool) -> Iterator[Record]:
    """A record with TensorBoard's writer and a progress bar, in the one process that writes."""
    with _progress(is_main) as progress:
        if not is_main:
            yield Record(family, config, run, witness, None, progress)
            return
        with SummaryWriter(str(run.root / "tensorboard")) as writer:
            yield Record(family, config, run, witness, writer, progress)


def crossed(before: Course, after: Course, every: int) -> bool:
    """Whether a multiple of `every` images lies on the way."""
    return before.images // every != after.images // every


class _Meter:
    """Means of losses since they were last asked for, and images a second since the start."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0
        self._images = 0
        self._start = time.monotonic()

    @property
    def speed(self) -> float:
        return self._images / max(time.monotonic() - self._start, 1e-9)

    def add(self, losses: Mapping[str, float], images: int) -> None:
        self._count += 1
        self._images += images
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def mean(self) -> dict[str, float]:
        result = {name: value / max(self._count, 1) for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return result


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
