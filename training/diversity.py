"""Many answers to each held-out photo, of several colourisers side by side: how near, how different, how likely they are.

What is asked are the served graphs, `samples` times a photo at one temperature, as `docs/cinn-evaluation.md` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict
from rich.progress import track

from training.datasets import DatasetError, ImagesU8, PairedDataset
from training.diversity_figures import RESAMPLINGS, Estimate, PictureErrors, errors_of, frechet_distance, mean, root_mean
from training.encoding import encode_picture
from training.entrants import Entrant, EntrantError, Likelihood, gray
from training.families.protocol import Exportable
from training.feature_extractor import FeatureExtractor
from training.figures import Trial, served_pictures
from training.sheets import contact_sheet

DIVERSITY_FILE, DIVERSITY_TABLE = "diversity.json", "diversity.md"
SHEET_PHOTOS = 8
LIKELIHOOD_BATCH = 16


@dataclass(frozen=True)
class Protocol:
    """How photos are asked about.

    Attributes:
        samples: Of each photo.
        count: Photos, evenly spaced over the split; None: all.
        temperature: What latents are multiplied by, of graphs that have this parameter. The published figures are at 1.
        seed: Of the first sample of the first photo.
    """

    samples: int = 8
    count: int | None = None
    temperature: float = 1.0
    seed: int = 0


class Diversity(BaseModel):
    """Figures of one entrant.

    Attributes:
        best_by_number, best_by_picture, best_of_1: RMSE x 100; `diversity_figures.py` tells the first two apart.
        variance: x 1e-3, over the samples, per pixel and channel.
        frechet: Between the first samples and the true pictures, of the features that the report names.
        nats: Negative log-likelihood per dimension; from above where it is a bound.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    images: int | None
    seconds: float | None
    best_by_number: Estimate
    best_by_picture: Estimate
    best_of_1: Estimate
    variance: Estimate
    frechet: float | None
    nats: Estimate | None
    nats_is_bound: bool = False


class DiversityReport(BaseModel):
    """All entrants on one split of one set.

    Attributes:
        photos: How many of the split were asked about.
        features: What the Frechet distance is of, or None.
        feature_count: Numbers a picture.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    split: str
    side: int
    photos: int
    of_photos: int
    samples: int
    temperature: float
    seed: int
    features: str | None
    feature_count: int | None
    entrants: tuple[Diversity, ...]

    @property
    def words(self) -> str:
        """The protocol in a sentence."""
        share = f"all {self.photos}" if self.photos == self.of_photos else f"{self.photos} of {self.of_photos}"
        return (
            f"{self.recipe}, split {self.split}, {share} photos at {self.side}x{self.side}; {self.samples} samples of each at "
            f"temperature {self.temperature:g}, seeds from {self.seed}; best of: RMSE of RGB in [0, 1], times 100; variance: "
            f"of RGB over the samples, times 1000; nats: negative log-likelihood per dimension, from above where there is a ≤; "
            f"± is the standard error by {RESAMPLINGS}-fold bootstrap over photos"
        )


@dataclass(frozen=True)
class _Measured:
    figures: Diversity
    sheet: Image.Image


def measure_diversity(
    entrants: Sequence[Entrant],
    dataset: PairedDataset,
    protocol: Protocol,
    out: Path,
    extractor: FeatureExtractor | None = None,
) -> DiversityReport:
    """Measures every entrant, and the gray photos first; writes figures, a table and a sheet of samples of each into `out`.

    Raises:
        DatasetError: The set is none of gray photos, or too few of them are asked about.
        EntrantError: An entrant does not take photos of this size.
    """
    chosen = _chosen(dataset, protocol)
    _require_fitting(entrants, dataset)
    truth = dataset.target[chosen]
    wanted = _Wanted(extractor, extractor(truth)) if extractor else None
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for entrant in [gray(), *entrants]:
        measured = _measure(entrant, dataset.source[chosen], truth, protocol, wanted)
        rows.append(measured.figures)
        measured.sheet.save(out / f"samples-{entrant.name.replace('/', '-')}.png")
    report = DiversityReport(
        recipe=dataset.info.recipe,
        split=dataset.split,
        side=dataset.info.size,
        photos=len(chosen),
        of_photos=len(dataset),
        samples=protocol.samples,
        temperature=protocol.temperature,
        seed=protocol.seed,
        features=extractor.words if extractor else None,
        feature_count=wanted.features.shape[1] if wanted else None,
        entrants=tuple(rows),
    )
    (out / DIVERSITY_FILE).write_text(report.model_dump_json(indent=2) + "\n", "utf-8")
    (out / DIVERSITY_TABLE).write_text(markdown(report), "utf-8")
    return report


def _chosen(dataset: PairedDataset, protocol: Protocol) -> NDArray[np.int64]:
    if dataset.info.kind != "gray" or len(dataset.info.inputs) > 1 or dataset.info.target_channels != 3:
        raise DatasetError(
            f"Set '{dataset.info.recipe}' holds no gray photos with their colours but '{dataset.info.kind}'; prepare one by "
            "`inkwash-train prepare photos --source DIR`."
        )
    count = len(dataset) if protocol.count is None else protocol.count
    if not 2 <= count <= len(dataset):
        raise DatasetError(f"--count is {count}; give 2 to {len(dataset)}, the photos of split '{dataset.split}'.")
    return np.linspace(0, len(dataset) - 1, count).round().astype(np.int64)


def _require_fitting(entrants: Sequence[Entrant], dataset: PairedDataset) -> None:
    side = dataset.info.size
    for entrant in entrants:
        height, width = entrant.size or (side, side)
        if (height, width) != (side, side):
            raise EntrantError(
                f"'{entrant.name}' takes photos of {width}x{height} pixels, but the set has {side}x{side}; prepare it with "
                f"--size {height} or leave the model out."
            )


# --- one entrant


@dataclass(frozen=True)
class _Wanted:
    """Features of the true pictures, (N, D), and what finds such."""

    extractor: FeatureExtractor
    features: NDArray[np.float64]


def _measure(entrant: Entrant, source: ImagesU8, truth: ImagesU8, protocol: Protocol, wanted: _Wanted | None) -> _Measured:
    exportable, calm = entrant.at(protocol.temperature), entrant.calm()
    shown = set(np.linspace(0, len(source) - 1, min(SHEET_PHOTOS, len(source))).round().astype(int).tolist())
    errors, found, rows = [], [], []
    for k in track(range(len(source)), description=f"Sampling ({entrant.name})"):
        samples = draw(exportable, source[k], protocol.samples, protocol.seed + k * protocol.samples)
        errors.append(errors_of(samples, truth[k]))
        if wanted:
            found.append(wanted.extractor(samples[:1])[0])
        if k in shown:
            rows.append([np.repeat(source[k], 3, axis=2), truth[k], draw(calm, source[k], 1, 0)[0], *samples])
    titles = ["gray", "photo", "T = 0", *(f"sample {n + 1}" for n in range(protocol.samples))]
    distance = frechet_distance(np.stack(found), wanted.features) if wanted else None
    nats = _nats(entrant.likelihood, source, truth, entrant.name) if entrant.likelihood else None
    return _Measured(_figures(entrant, errors, distance, nats), contact_sheet(rows, titles))


def draw(exportable: Exportable, gray_photo: ImagesU8, samples: int, seed: int) -> ImagesU8:
    """Pictures (samples, H, W, 3) of one photo (H, W, 1), each with the next seed. Without a latent all are one picture."""
    distinct = samples if exportable.latent is not None else 1
    name = exportable.image_names[0]
    asked = np.repeat(gray_photo[None], distinct, axis=0)
    made = served_pictures(exportable, Trial("sample", "", {name: asked}, asked), seed, is_quiet=True)
    return np.repeat(made, samples // distinct, axis=0)


def _figures(
    entrant: Entrant, errors: Sequence[PictureErrors], distance: float | None, nats: Sequence[float] | None
) -> Diversity:
    return Diversity(
        name=entrant.name,
        images=entrant.images,
        seconds=entrant.seconds,
        best_by_number=root_mean([one.best_by_number for one in errors], 100),
        best_by_picture=root_mean([one.best_by_picture for one in errors], 100),
        best_of_1=root_mean([one.first for one in errors], 100),
        variance=mean([one.variance for one in errors], 1000),
        frechet=distance,
        nats=mean(nats) if nats is not None else None,
        nats_is_bound=entrant.likelihood is not None and entrant.likelihood.is_bound,
    )


def _nats(likelihood: Likelihood, source: ImagesU8, truth: ImagesU8, name: str) -> list[float]:
    values: list[float] = []
    for start in track(range(0, len(source), LIKELIHOOD_BATCH), description=f"Likelihood ({name})"):
        chosen = slice(start, start + LIKELIHOOD_BATCH)
        given, wanted = (encode_picture(torch.from_numpy(images[chosen].copy())) for images in (source, truth))
        values += likelihood.of({"source": given, "target": wanted}).tolist()
    return values


# --- the table


def headings(report: DiversityReport) -> list[str]:
    """Of the table's columns."""
    n = report.samples
    return ["model", "images", "hours", f"best of {n}, by number", "by picture", "of 1", "variance", "Fréchet", "nats"]


def cells(figures: Diversity) -> list[str]:
    """One row of the table; what is not known is left out."""
    nats = "" if figures.nats is None else f"{'≤ ' if figures.nats_is_bound else ''}{_shown(figures.nats, 3)}"
    return [
        figures.name,
        "" if figures.images is None else f"{figures.images:,}",
        "" if figures.seconds is None else f"{figures.seconds / 3600:.2f}",
        _shown(figures.best_by_number),
        _shown(figures.best_by_picture),
        _shown(figures.best_of_1),
        _shown(figures.variance),
        "" if figures.frechet is None else f"{figures.frechet:.4g}",
        nats,
    ]


def about_features(report: DiversityReport) -> str:
    """What the Frechet distance is of, or why there is none."""
    if report.features is None:
        return "No Fréchet distance: no feature extractor was given (--features FILE.onnx)."
    few = f"; {report.photos} photos for {report.feature_count} numbers: biased upwards, compare rows of this table only"
    return f"Fréchet distance of {report.feature_count} features ({report.features}){few}."


def markdown(report: DiversityReport) -> str:
    """The table with its protocol."""
    lines = [headings(report), ["---"] * len(headings(report)), *(cells(figures) for figures in report.entrants)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{report.words}.\n{about_features(report)}\n\n{table}\n"


def _shown(estimate: Estimate, digits: int = 2) -> str:
    return f"{estimate.value:.{digits}f} ± {estimate.error:.{digits}f}"
