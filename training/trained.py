"""A finished or stopped run, opened to be judged or exported. It changes nothing in the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from training.checkpoint import load_networks
from training.config import TrainConfig
from training.datasets import DatasetInfo
from training.families.protocol import Exportable, Family
from training.material import read_any_info, source_spec
from training.run import Run, RunError, read_checkpoint
from training.session import Placement, build_workshop
from training.unpaired import UnpairedInfo
from training.watch import Best


class Weights(StrEnum):
    """Which weights of a run are judged or served.

    `AVERAGE` is the running average of the generator at the end of the run, `LAST` the generator as the last step left it, and
    `BEST` the average where the held-out figure of `loop.keep_best` was best.
    """

    AVERAGE = "average"
    LAST = "last"
    BEST = "best"


@dataclass(frozen=True)
class TrainedRun:
    """What a run has come to.

    Attributes:
        data: Folder of the prepared set it was trained on.
        images: Pairs shown to the generator so far.
        exportables: The graphs to serve.
        weights: Which weights these graphs have.
        best: The figure by which they are the best, where they are.
        family: What made the graphs, with its networks, for figures that a graph does not give.
    """

    run: Run
    config: TrainConfig
    data: Path
    info: DatasetInfo | UnpairedInfo
    images: int
    exportables: Mapping[str, Exportable]
    weights: Weights = Weights.AVERAGE
    best: Best | None = None
    family: Family | None = None

    @property
    def weights_words(self) -> str:
        """Which weights these are, to be followed by how many images they had seen."""
        if self.best is not None:
            return f"averaged weights, the best by {self.best.metric} while training, after"
        return {Weights.LAST: "weights of the last step, not averaged, after"}.get(self.weights, "averaged weights after")


def open_trained(root: Path, data: Path | None = None, weights: Weights | None = None) -> TrainedRun:
    """Loads weights of a run on the CPU.

    Args:
        root: The run's folder.
        data: The prepared set, when it no longer lies where the run found it.
        weights: Which ones; those that are served when absent: the best where the run keeps them, else the average.

    Raises:
        RunError: There is no such run or no checkpoint.
        DatasetError: The prepared set is missing.
    """
    run = Run.open(root)
    config = run.config()
    chosen = weights or (Weights.BEST if keeps_best(run) else Weights.AVERAGE)
    if chosen is Weights.BEST and not run.best.is_file():
        raise RunError(f"{root} has no best weights; train with --keep-best METRIC to keep them, or take 'average' or 'last'.")
    folder = data or config.data
    info = read_any_info(folder)
    origin = run.best if chosen is Weights.BEST else run.checkpoint
    state = read_checkpoint(origin)
    family = build_workshop(config, source_spec(info), Placement(accelerator="cpu")).family
    load_networks(family, state, str(origin))
    exportables = family.exportables(averaged=chosen is not Weights.LAST)
    best = Best(**state["best"]) if chosen is Weights.BEST else None
    return TrainedRun(run, config, folder, info, int(state["images"]), exportables, chosen, best, family)


def open_states(root: Path, data: Path | None = None) -> tuple[TrainedRun, ...]:
    """Every kind of weights that a run has, those that are served first.

    Raises:
        RunError: There is no such run or no checkpoint.
        DatasetError: The prepared set is missing.
    """
    served = open_trained(root, data)
    others = [weights for weights in Weights if weights is not served.weights]
    if not served.run.best.is_file():
        others = [weights for weights in others if weights is not Weights.BEST]
    return served, *(open_trained(root, data, weights) for weights in others)


def keeps_best(run: Run) -> bool:
    """Whether a run was told to keep its best weights and has some."""
    return run.config().loop.keep_best is not None and run.best.is_file()
