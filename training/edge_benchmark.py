"""The BSDS benchmark of edge detectors: a trained one beside Canny, on the same test photos, in one run.

It measures what is drawn before any pen is chosen: thinned boundaries at every threshold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from skimage.color import rgb2gray
from skimage.feature import canny
from skimage.morphology import skeletonize

from training.boundaries import BoolImage, Counts, count, summarize
from training.datasets import ImagesU8
from training.families.edges import ServedEdges
from training.figures import Figures
from training.linework import thin
from training.recipes.bsds500 import NEEDS, read_boundaries
from training.recipes.gray_pairs import read_picture
from training.recipes.recipe import SourceError
from training.trained import TrainedRun

SCORES_FILE = "boundaries.json"
PROTOCOL = (
    "BSDS500, test photos: thinned boundaries, matched one to one with each person's within 0.75 % of the diagonal; "
    "F-measure at the best threshold of the set (ODS) or of each photo (OIS)"
)
THRESHOLDS = 20
LOWEST, HIGHEST = 0.3, 0.98
CANNY_SIGMAS = (1.0, 1.4, 2.0, 2.8)
"""Pixels; the benchmark's photos are 321 by 481. The best of them on the validation photos is Canny's."""
_CANNY_SCALE = 0.8
"""Brings those thresholds to where Canny's best ones are."""
CANNY_LOW_SHARE = 0.4
"""MATLAB's ratio of the two thresholds, with which Canny's figure on this benchmark is usually given."""


class Detector(Protocol):
    """Finds boundaries."""

    levels: NDArray[np.float64]
    """Its thresholds from the lowest to the highest."""

    def __call__(self, photo: ImagesU8) -> Iterator[BoolImage]:
        """A photo, (H, W, 3) -> its boundaries, a pixel wide, at each of its thresholds."""


@dataclass(frozen=True)
class Score:
    """What one detector reached."""

    name: str
    ods: float
    precision: float
    recall: float
    ois: float
    threshold: float
    photos: int


class LearnedDetector:
    """The boundaries of a trained network, thinned. It computes the maps here and hands out binary ones."""

    def __init__(self, served: ServedEdges, thresholds: int = THRESHOLDS) -> None:
        self._served, self.levels = served, levels(thresholds)

    @torch.no_grad()
    def __call__(self, photo: ImagesU8) -> Iterator[BoolImage]:
        height, width = photo.shape[:2]
        step = cast(int, self._served.network.size_multiple_of)
        padding = ((0, -height % step), (0, -width % step), (0, 0))
        padded = torch.from_numpy(np.pad(photo, padding, mode="reflect")[None])
        ridges = thin(self._served.boundary(padded))[0, 0, :height, :width].numpy()
        for level in self.levels:
            yield _thinned(ridges >= level)


class CannyDetector:
    """Canny's edges (scikit-image), its high threshold a gradient by Sobel's weights of gray in [0, 1]."""

    def __init__(self, sigma_px: float, thresholds: int = THRESHOLDS) -> None:
        self.sigma_px, self.levels = sigma_px, _CANNY_SCALE * levels(thresholds)

    def __call__(self, photo: ImagesU8) -> Iterator[BoolImage]:
        gray = rgb2gray(photo)
        for level in self.levels:
            edges: BoolImage = canny(gray, self.sigma_px, CANNY_LOW_SHARE * level, level)  # type: ignore[no-untyped-call]
            yield _thinned(edges)


def levels(thresholds: int) -> NDArray[np.float64]:
    """Thresholds from the lowest to the highest, evenly spaced.

    Below `LOWEST` a learned map is borders all over, which takes long to match and is never best: a detector for which drawn
    and empty pixels weigh alike says yes too often.
    """
    return np.linspace(LOWEST, HIGHEST, thresholds)


def benchmark(
    name: str,
    detector: Detector,
    photos: Sequence[tuple[Path, Path]],
) -> Score:
    """Figures of one detector on the photos of `list_photos`."""
    counts: list[Counts] = []
    for photo, truth in track(photos, description=f"Matching boundaries ({name})"):
        people = read_boundaries(truth)
        counts.append(np.stack([count(detected, people) for detected in detector(read_picture(photo))]))
    result = summarize(np.stack(counts))
    figures = (result.ods.f_measure, result.ods.precision, result.ods.recall, result.ois)
    ods, precision, recall, ois = (round(value, 4) for value in figures)
    return Score(name, ods, precision, recall, ois, round(float(detector.levels[result.threshold]), 3), len(photos))


def best_canny(photos: Sequence[tuple[Path, Path]]) -> CannyDetector:
    """Canny with the smoothing that serves it best on these photos, which should not be those that it is measured on."""
    thresholds = 12
    scores = {sigma: benchmark(f"Canny, sigma {sigma}", CannyDetector(sigma, thresholds), photos) for sigma in CANNY_SIGMAS}
    return CannyDetector(max(scores, key=lambda sigma: scores[sigma].ods))


def measure_beside_canny(trained: TrainedRun, source: Path, limit: int | None = None) -> list[Score]:
    """A run and Canny on the test photos. Canny's smoothing is chosen on the photos for validation.

    Raises:
        SourceError: The folder is not BSDS500, or the run is no edge detector.
    """
    served = trained.exportables[""].module if "" in trained.exportables else None
    if not isinstance(served, ServedEdges):
        raise SourceError(f"Run '{trained.run.root}' is of family '{trained.config.family}'; give one of family 'edges'.")
    photos = list_photos(source, "test")[:limit]
    canny_detector = best_canny(list_photos(source, "val")[:limit])
    return [
        benchmark(trained.config.name, LearnedDetector(served), photos),
        benchmark(f"Canny, sigma {canny_detector.sigma_px}", canny_detector, photos),
    ]


def write_scores(run: Path, scores: Sequence[Score]) -> Path:
    """Writes `boundaries.json` into the run's folder, where the exporter finds it."""
    path = run / SCORES_FILE
    text = json.dumps({"protocol": PROTOCOL, "scores": [asdict(score) for score in scores]}, indent=2)
    path.write_text(text + "\n", "utf-8")
    return path


def read_scores(run: Path) -> Figures | None:
    """What `write_scores` wrote of the run's own detector, for its model card; None where it was never measured."""
    path = run / SCORES_FILE
    if not path.is_file():
        return None
    written = json.loads(path.read_text("utf-8"))
    own = written["scores"][0]
    values = {"ods": own["ods"], "ois": own["ois"]}
    return Figures(name="bsds500", protocol=written["protocol"], pairs=own["photos"], values=values)


def list_photos(source: Path, split: str) -> list[tuple[Path, Path]]:
    """Photos of a split, each with the file of its boundaries.

    Raises:
        SourceError: There are none, or a photo has no boundaries.
    """
    photos = sorted((source / "images" / split).glob("*.jpg"))
    if not photos:
        raise SourceError(f"Source '{source}' has no photos of the split '{split}'; give {NEEDS}, and 'test' to measure on.")
    pairs = [(photo, source / "groundTruth" / split / f"{photo.stem}.mat") for photo in photos]
    for photo, truth in pairs:
        if not truth.is_file():
            raise SourceError(f"Photo '{photo.name}' has no boundaries at '{truth}'; give {NEEDS}.")
    return pairs


def _thinned(edges: BoolImage) -> BoolImage:
    thinned: BoolImage = skeletonize(edges)  # type: ignore[no-untyped-call]
    return thinned
