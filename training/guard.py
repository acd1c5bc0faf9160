"""Notices that a run has gone astray, and puts it back to its last sound checkpoint. It trains nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from training.checkpoint import Course, checkpoint_state, restore
from training.config import LoopConfig
from training.families.protocol import Family
from training.run import Run, read_checkpoint


class DivergedError(RuntimeError):
    """A loss or a weight became NaN or infinite more often than a run may go back; the last checkpoint is from before it."""


class Guard:
    """Watches over one run in one process. In a distributed run all of them go back together, and the main one writes."""

    def __init__(self, family: Family, run: Run, loop: LoopConfig, *, is_main: bool) -> None:
        self._family, self._run, self._loop, self._is_main = family, run, loop, is_main

    def begin(self) -> Course:
        """Puts the family where the run is: to its last checkpoint, or to its beginning, which is kept to go back to.

        Raises:
            RunError: The checkpoint does not fit the configuration.
        """
        run, course = self._run, Course()
        if run.checkpoint.is_file():
            course = restore(self._family, run.load_checkpoint(), str(run.checkpoint))
        elif self._is_main:
            run.best.unlink(missing_ok=True)  # of another run in this folder
            if self._loop.rollbacks_max:
                run.save_beginning(checkpoint_state(self._family, course))
        if self._is_main:
            run.truncate_metrics(course.images)
        return course

    def find_trouble(self, losses: Mapping[str, float], course: Course | None = None) -> str | None:
        """What is no longer a finite number, in words, or None.

        Args:
            losses: Of one step.
            course: Where a checkpoint is due: then its weights are looked at too, for they can be lost in a step whose losses
                were still sound.
        """
        names = [name for name, value in losses.items() if not math.isfinite(value)]
        if not names and course is not None:
            names = list(_lost_tensors(checkpoint_state(self._family, course)))[:1]
        return f"{', '.join(names)} is not finite" if names else None

    def require_sound(self, course: Course) -> None:
        """Raises DivergedError where weights are lost that are about to be kept as the run's last."""
        if trouble := self.find_trouble({}, course):
            raise DivergedError(f"After {course.images} images {trouble}. {REMEDY}")

    def go_back(self, course: Course, trouble: str) -> Course:
        """The last checkpoint, from where a lower learning rate leads on by way of other pictures and noise.

        Raises:
            DivergedError: The run went back as often as it may.
        """
        if course.rollbacks >= self._loop.rollbacks_max:
            raise DivergedError(f"{trouble}{_tries(course)}. {REMEDY}")
        run = self._run
        origin = run.checkpoint if run.checkpoint.is_file() else run.beginning
        kept = replace(
            restore(self._family, read_checkpoint(origin), str(origin)),
            rollbacks=course.rollbacks + 1,
            learning_rate_scale=course.learning_rate_scale * self._loop.rollback_learning_rate_factor,
        )
        if self._is_main:
            run.truncate_metrics(kept.images)
            run.note_rollback(kept.images, (course.learning_rate_scale, kept.learning_rate_scale), trouble)
            run.save_checkpoint(checkpoint_state(self._family, kept))
        return kept


REMEDY = (
    "The last checkpoint is kept; resume with a lower optimizer.learning_rate, with loop.precision=32-true, or with a higher "
    "loop.rollbacks_max."
)


def _tries(course: Course) -> str:
    if course.rollbacks == 0:
        return ""
    return f"; {course.rollbacks} rollbacks, the last to {course.learning_rate_scale:g} of the learning rate, did not help"


def _lost_tensors(state: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of tensors that hold NaN or infinity."""
    for key, value in state.items():
        if isinstance(value, Mapping):
            yield from _lost_tensors(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            yield f"{prefix}{key}"
