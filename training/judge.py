"""Held-out figures of any run. How a run is judged depends on the form of its data set."""

from __future__ import annotations

from collections.abc import Sequence

from training.evaluate import Evaluation, Judged, State, judge_pairs, read_evaluation, write_evaluation
from training.evaluate_unpaired import judge_directions
from training.trained import TrainedRun
from training.unpaired import UnpairedInfo


def judge(trained: TrainedRun, split: str = "val", seed: int = 0, others: Sequence[TrainedRun] = ()) -> Evaluation:
    """Measures a run on a held-out split and writes figures and a sheet into it.

    Args:
        trained: The weights that are served: theirs are the sheet and the figures of the evaluation.
        split: Where to measure.
        seed: First seed of the noise.
        others: Other weights of the same run, for figures side by side.

    Raises:
        DatasetError: The split cannot be opened.
    """
    served = _judge(trained, split, seed)
    states = [_state(trained, served), *(_state(other, _judge(other, split, seed)) for other in others)]
    evaluation = Evaluation(
        recipe=trained.info.recipe,
        split=split,
        images=trained.images,
        weights=trained.weights,
        figures=served.figures,
        states=tuple(states),
    )
    write_evaluation(trained.run.root, evaluation, served.sheet)
    return evaluation


def judged(trained: TrainedRun) -> Evaluation:
    """The figures of the run with its weights as they are now, measured only where that has not been done."""
    evaluation = read_evaluation(trained.run.root)
    if evaluation is None or evaluation.split != "val":
        return judge(trained)
    for state in evaluation.states or (_only_state(evaluation),):
        if (state.weights, state.images) == (trained.weights, trained.images):
            return evaluation.model_copy(update=dict(state))
    return judge(trained)


def _judge(trained: TrainedRun, split: str, seed: int) -> Judged:
    if isinstance(trained.info, UnpairedInfo):
        return judge_directions(trained, split)
    return judge_pairs(trained, split, seed)


def _state(trained: TrainedRun, judged: Judged) -> State:
    return State(weights=trained.weights, images=trained.images, figures=judged.figures)


def _only_state(evaluation: Evaluation) -> State:
    """Of figures that were measured before there were several kinds of weights."""
    return State(weights=evaluation.weights, images=evaluation.images, figures=evaluation.figures)
