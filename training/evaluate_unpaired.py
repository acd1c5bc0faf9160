"""Held-out figures where no picture says what the right answer is: what a translation keeps, changes and comes to look like."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from training.datasets import ImagesU8
from training.evaluate import SHEET_PAIRS, Judged
from training.families.protocol import Exportable
from training.figures import Figures, measure_way
from training.sheets import contact_sheet
from training.trained import TrainedRun
from training.unpaired import DOMAINS, Pictures, UnpairedDataset


def judge_directions(trained: TrainedRun, split: str) -> Judged:
    """Measures both directions of a run on a held-out split.

    Raises:
        DatasetError: The split cannot be opened.
    """
    dataset = UnpairedDataset.open(trained.data, split)
    figures, rows = [], []
    for way, (there, back), (source, target) in _directions(trained, dataset):
        measured = measure_way(there, back, source.images, target.images, way)
        protocol = _protocol(way, dataset, trained)
        figures.append(Figures(name=way, protocol=protocol, pairs=len(source), values=dict(measured.values)))
        rows.append((source.images, measured.fake, measured.reconstructed))
    return Judged(tuple(figures), _sheet(rows))


def _directions(
    trained: TrainedRun, dataset: UnpairedDataset
) -> Iterator[tuple[str, tuple[Exportable, Exportable], tuple[Pictures, Pictures]]]:
    """Each way: its name, the graphs there and back, the pictures that it starts from and those that it goes to."""
    towards_b, towards_a = trained.exportables["ab"], trained.exportables["ba"]
    yield "ab", (towards_b, towards_a), (dataset.a, dataset.b)
    yield "ba", (towards_a, towards_b), (dataset.b, dataset.a)


def _protocol(way: str, dataset: UnpairedDataset, trained: TrainedRun) -> str:
    info, counts = dataset.info, dataset.info.counts[dataset.split]
    source, target = DOMAINS if way == "ab" else reversed(DOMAINS)
    return (
        f"{info.names[source]} to {info.names[target]}, split {dataset.split}, all {counts[source]} and {counts[target]} "
        f"pictures at {info.size}x{info.size}; {trained.weights_words} {trained.images:,} images; RGB in [0, 1]"
    )


def _sheet(rows: list[tuple[ImagesU8, ImagesU8, ImagesU8]]) -> Image.Image:
    """A line of the sheet: a, a as b, a and back again; then the same of b."""
    count = min(len(images) for images, _, _ in rows)
    chosen = np.linspace(0, count - 1, min(SHEET_PAIRS, count)).round().astype(int)
    return contact_sheet([[images[k] for row in rows for images in row] for k in chosen])
