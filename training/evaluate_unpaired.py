"""Held-out figures where no picture says what the right answer is: what a translation keeps, changes and comes to look like."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from rich.progress import track

from training.color_figures import lab_intersection
from training.datasets import ImagesU8
from training.evaluate import BATCH, FIGURES_FILE, SHEET_FILE, SHEET_PAIRS, Evaluation, Figures
from training.families.protocol import Exportable
from training.serving import translate
from training.sheets import contact_sheet
from training.trained import TrainedRun
from training.unpaired import DOMAINS, Pictures, UnpairedDataset


def evaluate_unpaired(trained: TrainedRun, split: str = "val") -> Evaluation:
    """Judges both directions on a held-out split and writes `evaluation.json` and `evaluation.png` into the run.

    Raises:
        DatasetError: The split cannot be opened.
    """
    dataset = UnpairedDataset.open(trained.data, split)
    figures, rows = [], []
    for way, (there, back), (source, target) in _directions(trained, dataset):
        fake = _translate_all(there, source.images, way)
        reconstructed = _translate_all(back, fake, f"{way} and back")
        identity = _translate_all(there, target.images, f"{way} of what is there already")
        values = {
            "cycle_l1": _l1(reconstructed, source.images),
            "identity_l1": _l1(identity, target.images),
            "change_l1": _l1(fake, source.images),
            "lab_intersection": round(lab_intersection(fake, target.images), 4),
            "lab_intersection_before": round(lab_intersection(source.images, target.images), 4),
        }
        protocol = _protocol(way, dataset, trained.images)
        figures.append(Figures(name=way, protocol=protocol, pairs=len(source), values=values))
        rows.append((source.images, fake, reconstructed))
    evaluation = Evaluation(recipe=dataset.info.recipe, split=split, images=trained.images, figures=tuple(figures))
    (trained.run.root / FIGURES_FILE).write_text(evaluation.model_dump_json(indent=2) + "\n", "utf-8")
    _sheet(rows).save(trained.run.root / SHEET_FILE)
    return evaluation


def _directions(
    trained: TrainedRun, dataset: UnpairedDataset
) -> Iterator[tuple[str, tuple[Exportable, Exportable], tuple[Pictures, Pictures]]]:
    """Each way: its name, the graphs there and back, the pictures that it starts from and those that it goes to."""
    towards_b, towards_a = trained.exportables["ab"], trained.exportables["ba"]
    yield "ab", (towards_b, towards_a), (dataset.a, dataset.b)
    yield "ba", (towards_a, towards_b), (dataset.b, dataset.a)


def _translate_all(exportable: Exportable, images: ImagesU8, words: str) -> ImagesU8:
    starts = track(range(0, len(images), BATCH), description=f"Translating ({words})")
    parts = [images[start : start + BATCH] for start in starts]
    return np.concatenate([translate(exportable, {"image": part}, seeds=range(len(part))) for part in parts])


def _l1(made: ImagesU8, wanted: ImagesU8) -> float:
    """Mean absolute difference of RGB in [0, 1]."""
    return round(float(np.abs(made.astype(np.float32) - wanted.astype(np.float32)).mean()) / 255, 4)


def _protocol(way: str, dataset: UnpairedDataset, images: int) -> str:
    info, counts = dataset.info, dataset.info.counts[dataset.split]
    source, target = DOMAINS if way == "ab" else reversed(DOMAINS)
    return (
        f"{info.names[source]} to {info.names[target]}, split {dataset.split}, all {counts[source]} and {counts[target]} "
        f"pictures at {info.size}x{info.size}; averaged weights after {images:,} images; RGB in [0, 1]"
    )


def _sheet(rows: list[tuple[ImagesU8, ImagesU8, ImagesU8]]) -> Image.Image:
    """A line of the sheet: a, a as b, a and back again; then the same of b."""
    count = min(len(images) for images, _, _ in rows)
    chosen = np.linspace(0, count - 1, min(SHEET_PAIRS, count)).round().astype(int)
    return contact_sheet([[images[k] for row in rows for images in row] for k in chosen])
