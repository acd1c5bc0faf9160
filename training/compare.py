"""Several runs on the same held-out pictures: one table of figures, and one sheet of the same pictures through each.

What is compared are the served graphs, as in `evaluate.py`, each by the name of its run's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from training.datasets import DatasetError, DatasetInfo, ImagesU8, PairedDataset, displayable
from training.evaluate import SHEET_PAIRS
from training.figures import Figures, Trial, measure, of_color, served_pictures, trials
from training.gallery import gallery
from training.serving import without_hints
from training.sheets import contact_sheet
from training.trained import TrainedRun

COMPARISON_FILE, COMPARISON_SHEET, FREE_SHEET = "comparison.json", "comparison.jpg", "comparison-free.jpg"
_NOTHING: ImagesU8 = np.zeros((0, 1, 1, 3), np.uint8)
UNTRANSLATED = "gray"
"""The row of the photos before anything was done: what a colouriser that paints no colour would reach."""


class Entrant(BaseModel):
    """One row of the table.

    Attributes:
        images: Pairs that the run had seen; None for the untranslated photos.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    images: int | None
    figures: Figures


class Comparison(BaseModel):
    """Figures of all entrants on one split of one data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    split: str
    pairs: int
    entrants: tuple[Entrant, ...]


@dataclass(frozen=True)
class _Shown:
    """What an entrant makes of the held-out pictures, and of the gallery's."""

    entrant: Entrant
    pictures: ImagesU8
    free: ImagesU8


def compare_runs(runs: Sequence[TrainedRun], out: Path, split: str = "val", seed: int = 0) -> Comparison:
    """Judges every run on one split and writes `comparison.json` and `comparison.jpg` into `out`.

    Beside them `comparison-free.jpg` shows the gallery's pictures through each run, where the data set has such. They may be
    passed on, which those of the data set often may not.

    Raises:
        DatasetError: The runs did not learn from the same pairs, or the split cannot be opened.
    """
    info = _common_info(runs)
    dataset = PairedDataset.open(runs[0].data, split)
    free = _free_inputs(dataset)
    shown = [_untranslated(dataset)] if info.kind == "gray" else []
    shown += [_judged(run, dataset, free, seed) for run in runs]
    comparison = Comparison(
        recipe=info.recipe, split=split, pairs=len(dataset), entrants=tuple(column.entrant for column in shown)
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / COMPARISON_FILE).write_text(comparison.model_dump_json(indent=2) + "\n", "utf-8")
    _write_sheet(out / COMPARISON_SHEET, dataset, shown)
    if free:
        asked = displayable(free[info.main.name], info.main)
        columns = [column for column in shown if column.entrant.images is not None]
        rows = [[picture, *(column.free[k] for column in columns)] for k, picture in enumerate(asked)]
        contact_sheet(rows, [info.kind, *(column.entrant.name for column in columns)]).save(out / FREE_SHEET, quality=88)
    return comparison


def _common_info(runs: Sequence[TrainedRun]) -> DatasetInfo:
    first = runs[0]
    for run in runs:
        if not isinstance(run.info, DatasetInfo):
            raise DatasetError(
                f"Run '{run.run.root}' learned from unpaired pictures, of which none is the right one; leave it out."
            )
        if run.info.sha256 != first.info.sha256:
            raise DatasetError(
                f"Runs '{first.run.root}' and '{run.run.root}' learned from different pairs ('{first.data}', '{run.data}'); "
                "compare runs of one data set."
            )
    assert isinstance(first.info, DatasetInfo)
    return first.info


def _free_inputs(dataset: PairedDataset) -> dict[str, ImagesU8]:
    """The gallery's pictures, each input (K, H, W, C); empty where there are none."""
    drawings = gallery(dataset, [spec.name for spec in dataset.info.inputs])
    return {
        spec.name: np.stack([drawing.inputs[spec.name] for drawing in drawings]) for spec in dataset.info.inputs if drawings
    }


def _judged(trained: TrainedRun, dataset: PairedDataset, free: Mapping[str, ImagesU8], seed: int) -> _Shown:
    (exportable,) = trained.exportables.values()
    trial = next(trials(dataset, has_hints="hints" in exportable.image_names, seed=seed))
    pictures = served_pictures(exportable, trial, seed)
    name = trained.run.root.resolve().name
    protocol = f"{dataset.info.recipe}, split {dataset.split}, all {len(dataset)} pairs"
    figures = measure(trial, pictures, protocol, of_color(exportable))
    shown = _NOTHING
    if free:
        blank = without_hints(free)
        shown = served_pictures(exportable, Trial("gallery", "", blank, next(iter(free.values()))), seed)
    return _Shown(Entrant(name=name, images=trained.images, figures=figures), pictures, shown)


def _untranslated(dataset: PairedDataset) -> _Shown:
    pictures = np.repeat(dataset.source, 3, axis=3)
    figures = measure(Trial("plain", "", {}, dataset.target), pictures, "the gray photos themselves", of_color=True)
    return _Shown(Entrant(name=UNTRANSLATED, images=None, figures=figures), pictures, _NOTHING)


def _write_sheet(path: Path, dataset: PairedDataset, shown: Sequence[_Shown]) -> None:
    """A row a picture: what was asked, what each entrant made of it, what was wanted."""
    chosen = np.linspace(0, len(dataset) - 1, min(SHEET_PAIRS, len(dataset))).round().astype(int)
    columns = [column for column in shown if column.entrant.images is not None]
    rows = [
        [displayable(dataset.source[k], dataset.info.main), *(column.pictures[k] for column in columns), dataset.target[k]]
        for k in chosen
    ]
    titles = [
        dataset.info.kind,
        *(column.entrant.name for column in columns),
        "photo" if dataset.info.kind == "gray" else "picture",
    ]
    contact_sheet(rows, titles).save(path, quality=88)
