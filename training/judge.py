"""Held-out figures of any run. How a run is judged depends on the form of its data set."""

from __future__ import annotations

from training.evaluate import Evaluation, evaluate_run, read_evaluation
from training.evaluate_unpaired import evaluate_unpaired
from training.trained import TrainedRun
from training.unpaired import UnpairedInfo


def judge(trained: TrainedRun, split: str = "val", seed: int = 0) -> Evaluation:
    """Measures a run on a held-out split and writes figures and a sheet into it.

    Raises:
        DatasetError: The split cannot be opened.
    """
    if isinstance(trained.info, UnpairedInfo):
        return evaluate_unpaired(trained, split)
    return evaluate_run(trained, split, seed)


def judged(trained: TrainedRun) -> Evaluation:
    """The figures of the run as it is now, measured only where that has not been done."""
    evaluation = read_evaluation(trained.run.root)
    if evaluation is None or (evaluation.images, evaluation.split) != (trained.images, "val"):
        return judge(trained)
    return evaluation
