"""Held-out figures and a sheet of samples: what the served graph makes of pairs that it was not trained on.

It judges the exportable graph (bytes in and out), so that the figures are those of what people use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from training.datasets import DatasetInfo, ImagesU8, PairedDataset, displayable
from training.figures import Figures, Trial, measure, of_color, served_pictures, trials
from training.sheets import contact_sheet
from training.trained import TrainedRun

SHEET_PAIRS = 12
FIGURES_FILE, SHEET_FILE = "evaluation.json", "evaluation.png"


class State(BaseModel):
    """Figures of one kind of weights.

    Attributes:
        weights: `average`, `last` or `best`.
        images: Images that they had seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str
    images: int
    figures: tuple[Figures, ...]


class Evaluation(BaseModel):
    """All figures of a run.

    Attributes:
        weights, images, figures: Of those weights that are served.
        states: Of every kind of weights that was measured, those among them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    split: str
    images: int
    weights: str = "average"
    figures: tuple[Figures, ...]
    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class Judged:
    """What was measured of one kind of weights, and a sheet of pictures to look at."""

    figures: tuple[Figures, ...]
    sheet: Image.Image


def judge_pairs(trained: TrainedRun, split: str, seed: int) -> Judged:
    """Measures a run on a held-out split of pairs.

    Raises:
        DatasetError: The split cannot be opened.
    """
    dataset = PairedDataset.open(trained.data, split)
    (exportable,) = trained.exportables.values()
    figures, shown = [], []
    for trial in trials(dataset, has_hints="hints" in exportable.image_names, seed=seed):
        pictures = served_pictures(exportable, trial, seed)
        figures.append(measure(trial, pictures, _protocol(trial, dataset, trained, seed), of_color(exportable)))
        shown.append((trial, pictures))
    return Judged(tuple(figures), _sheet(shown, dataset.info))


def write_evaluation(root: Path, evaluation: Evaluation, sheet: Image.Image) -> None:
    """Writes `evaluation.json` and `evaluation.png` into a run."""
    (root / FIGURES_FILE).write_text(evaluation.model_dump_json(indent=2) + "\n", "utf-8")
    sheet.save(root / SHEET_FILE)


def read_evaluation(root: Path) -> Evaluation | None:
    """The figures that `evaluate` left in a run, or None."""
    path = root / FIGURES_FILE
    return Evaluation.model_validate_json(path.read_text("utf-8")) if path.is_file() else None


def _measured(dataset: PairedDataset) -> str:
    if dataset.info.target_channels == 1:
        return "thinned lines, matched with those that a third of the people drew within 0.75 % of the diagonal"
    return "RGB in [0, 1], mean over pictures"


def _protocol(trial: Trial, dataset: PairedDataset, trained: TrainedRun, seed: int) -> str:
    count, side = len(dataset), dataset.info.size
    text = (
        f"{dataset.info.recipe}, split {dataset.split}, all {count} pairs at {side}x{side}; {trained.weights_words} "
        f"{trained.images:,} images; seeds {seed} to {seed + count - 1}; {_measured(dataset)}"
    )
    return f"{text}; {trial.wording}" if trial.wording else text


def _sheet(shown: list[tuple[Trial, ImagesU8]], info: DatasetInfo) -> Image.Image:
    """One row a pair: for each trial input, result and target; the inputs beside the main one come first."""
    count = len(shown[0][1])
    chosen = np.linspace(0, count - 1, min(SHEET_PAIRS, count)).round().astype(int)
    rows = []
    for k in chosen:
        row = [displayable(shown[0][0].inputs[spec.name][k], spec) for spec in info.inputs[1:]]
        for trial, pictures in shown:
            asked = with_dabs(displayable(trial.inputs[info.main.name][k], info.main), trial.inputs["hints"][k])
            row += [asked, pictures[k], trial.target[k]]
        rows.append(row)
    return contact_sheet(rows)


def with_dabs(image: ImagesU8, hints: ImagesU8) -> ImagesU8:
    """An RGB picture with RGBA hints laid over it, for display."""
    alpha = hints[..., 3:].astype(np.float32) / 255
    blended: ImagesU8 = np.round(image * (1 - alpha) + hints[..., :3] * alpha).astype(np.uint8)
    return blended
