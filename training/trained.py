"""A finished or stopped run, opened to be judged or exported. It changes nothing in the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from training.checkpoint import load_networks
from training.config import TrainConfig
from training.datasets import DatasetInfo
from training.families.protocol import Exportable
from training.material import read_any_info, source_spec
from training.run import Run
from training.session import Placement, build_workshop
from training.unpaired import UnpairedInfo


@dataclass(frozen=True)
class TrainedRun:
    """What a run has come to.

    Attributes:
        data: Folder of the prepared set it was trained on.
        images: Pairs shown to the generator so far.
        exportables: The graphs to serve: averaged weights where the family keeps an average.
    """

    run: Run
    config: TrainConfig
    data: Path
    info: DatasetInfo | UnpairedInfo
    images: int
    exportables: Mapping[str, Exportable]


def open_trained(root: Path, data: Path | None = None) -> TrainedRun:
    """Loads the last checkpoint of a run on the CPU.

    Args:
        root: The run's folder.
        data: The prepared set, when it no longer lies where the run found it.

    Raises:
        RunError: There is no such run or no checkpoint.
        DatasetError: The prepared set is missing.
    """
    run = Run.open(root)
    config = run.config()
    folder = data or config.data
    info = read_any_info(folder)
    state = run.load_checkpoint()
    family = build_workshop(config, source_spec(info), Placement(accelerator="cpu")).family
    load_networks(family, state, str(run.checkpoint))
    return TrainedRun(run, config, folder, info, int(state["images"]), family.exportables())
