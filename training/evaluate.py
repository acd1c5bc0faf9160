"""Held-out figures and a sheet of samples: what the served graph makes of pairs that it was not trained on.

It judges the exportable graph (averaged weights, bytes in and out), so that the figures are those of what people use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict
from rich.progress import track
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from training.color_figures import lab_intersection, mean_colorfulness
from training.colorspace import color_under_luma
from training.config import HintConfig
from training.datasets import DatasetInfo, ImagesU8, PairedDataset, displayable
from training.encoding import decode_picture, encode_picture
from training.families.protocol import Exportable
from training.hints import HintSampler
from training.serving import translate, without_hints
from training.sheets import contact_sheet
from training.trained import TrainedRun

BATCH = 4
SHEET_PAIRS = 12
FIGURE_TITLES = {
    "l1": "L1",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "colorfulness": "colourfulness",
    "true_colorfulness": "of the real photos",
    "lab_intersection": "a*b* intersection",
    "lab_intersection_before": "of the untranslated",
    "cycle_l1": "L1, there and back",
    "identity_l1": "L1, of what is there already",
    "change_l1": "L1, of the change",
}
"""Every figure by name. L1 is the mean absolute difference of RGB in [0, 1]; PSNR is taken of each picture, then averaged;
SSIM is of RGB with a Gaussian window of 11 pixels; `color_figures.py` explains the others."""
FIGURES_FILE, SHEET_FILE = "evaluation.json", "evaluation.png"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figures(_Strict):
    """Means over the pictures of one protocol.

    Attributes:
        values: By the names of `FIGURE_TITLES`.
    """

    name: str
    protocol: str
    pairs: int
    values: dict[str, float]


class Evaluation(_Strict):
    """All figures of one state of a run."""

    recipe: str
    split: str
    images: int
    figures: tuple[Figures, ...]


@dataclass(frozen=True)
class Trial:
    """One way of asking: the inputs of the graph and the pictures that it should give, (N, H, W, C) uint8."""

    name: str
    wording: str
    inputs: Mapping[str, ImagesU8]
    target: ImagesU8


def evaluate_run(trained: TrainedRun, split: str = "val", seed: int = 0) -> Evaluation:
    """Judges a run on a held-out split and writes `evaluation.json` and `evaluation.png` into it.

    Raises:
        DatasetError: The split cannot be opened.
    """
    dataset = PairedDataset.open(trained.data, split)
    (exportable,) = trained.exportables.values()
    figures, shown = [], []
    for trial in trials(dataset, has_hints="hints" in exportable.image_names, seed=seed):
        pictures = served_pictures(exportable, trial, seed)
        figures.append(measure(trial, pictures, _protocol(trial, dataset, trained.images, seed), of_color(exportable)))
        shown.append((trial, pictures))
    evaluation = Evaluation(recipe=dataset.info.recipe, split=split, images=trained.images, figures=tuple(figures))
    (trained.run.root / FIGURES_FILE).write_text(evaluation.model_dump_json(indent=2) + "\n", "utf-8")
    _sheet(shown, dataset.info).save(trained.run.root / SHEET_FILE)
    return evaluation


def read_evaluation(root: Path) -> Evaluation | None:
    """The figures that `evaluate` left in a run, or None."""
    path = root / FIGURES_FILE
    return Evaluation.model_validate_json(path.read_text("utf-8")) if path.is_file() else None


def trials(dataset: PairedDataset, *, has_hints: bool, seed: int) -> Iterator[Trial]:
    """Every way in which the model is asked: plainly; with hints also with dabs of the true colours and of other ones."""
    blank = without_hints(dataset.source)
    yield Trial("plain", "no colour hints" if has_hints else "", blank, dataset.target)
    if not has_hints:
        return
    ways = (
        ("hints", 0.0, "up to 12 dabs of the picture's own colours"),
        ("other-hints", 1.0, "up to 12 dabs of a recoloured picture, which is also what the result is compared with"),
    )
    for name, recolor_share, wording in ways:
        config = HintConfig(enabled=True, none_share=0.0, recolor_share=recolor_share, max_dabs=12)
        target, hints = _draw_hints(dataset.target, config, seed)
        yield Trial(name, wording, {**blank, "hints": hints}, target)


def served_pictures(exportable: Exportable, trial: Trial, seed: int) -> ImagesU8:
    """What people get of a served graph, (N, H, W, 3): a colouriser's colour lies under the photo's own luma."""
    pictures = _translate_all(exportable, trial, seed)
    return _under_luma(pictures, trial.inputs["image"]) if exportable.compose == "chroma" else pictures


def of_color(exportable: Exportable) -> bool:
    """Whether a model is to be judged by its colours too."""
    return exportable.compose == "chroma"


def measure(trial: Trial, pictures: ImagesU8, protocol: str, of_color: bool = False) -> Figures:
    """L1, PSNR and SSIM of `pictures` against the trial's targets, and how well their colours match where asked."""
    sums = np.zeros(3)
    for start in range(0, len(pictures), BATCH):
        made, wanted = (_unit(images[start : start + BATCH]) for images in (pictures, trial.target))
        psnr = peak_signal_noise_ratio(made, wanted, data_range=1.0, dim=(1, 2, 3), reduction="sum")
        ssim = structural_similarity_index_measure(made, wanted, data_range=1.0, reduction="sum")
        l1 = (made - wanted).abs().mean(dim=(1, 2, 3)).sum()
        sums += np.array([float(l1), float(psnr), float(torch.as_tensor(ssim))])
    l1_mean, psnr_mean, ssim_mean = (round(float(value), 4) for value in sums / len(pictures))
    values = {"l1": l1_mean, "psnr": psnr_mean, "ssim": ssim_mean}
    if of_color:
        values |= _color_values(pictures, trial.target)
    return Figures(name=trial.name, protocol=protocol, pairs=len(pictures), values=values)


def _color_values(pictures: ImagesU8, target: ImagesU8) -> dict[str, float]:
    return {
        "colorfulness": round(mean_colorfulness(pictures), 2),
        "true_colorfulness": round(mean_colorfulness(target), 2),
        "lab_intersection": round(lab_intersection(pictures, target), 4),
    }


def _under_luma(pictures: ImagesU8, gray: ImagesU8) -> ImagesU8:
    """What people get of a colouriser: its colour under the photo's own luma."""
    parts = []
    for start in range(0, len(pictures), BATCH):
        made, luma = (encode_picture(torch.from_numpy(images[start : start + BATCH].copy())) for images in (pictures, gray))
        parts.append(decode_picture(color_under_luma(made, luma)).numpy())
    return np.concatenate(parts)


def _translate_all(exportable: Exportable, trial: Trial, seed: int) -> ImagesU8:
    count = len(trial.target)
    parts = []
    for start in track(range(0, count, BATCH), description=f"Translating ({trial.name})"):
        chosen = slice(start, min(start + BATCH, count))
        inputs = {name: images[chosen] for name, images in trial.inputs.items()}
        parts.append(translate(exportable, inputs, seeds=range(seed + chosen.start, seed + chosen.stop)))
    return np.concatenate(parts)


def _draw_hints(target: ImagesU8, config: HintConfig, seed: int) -> tuple[ImagesU8, ImagesU8]:
    """Targets (recoloured where the configuration says so) and their hints as RGBA."""
    sampler, generator = HintSampler(config), torch.Generator().manual_seed(seed)
    targets, hints = [], []
    for start in range(0, len(target), BATCH):
        recolored, dabs = sampler(encode_picture(torch.from_numpy(target[start : start + BATCH].copy())), generator)
        targets.append(decode_picture(recolored).numpy())
        coverage = dabs[:, 3:]
        color = decode_picture(torch.where(coverage > 0, dabs[:, :3] / coverage.clamp(min=1e-6), -1.0))
        alpha = torch.round(coverage * 255).permute(0, 2, 3, 1).to(torch.uint8)
        hints.append(torch.cat([color, alpha], dim=3).numpy())
    return np.concatenate(targets), np.concatenate(hints)


def _protocol(trial: Trial, dataset: PairedDataset, images: int, seed: int) -> str:
    count, side = len(dataset), dataset.info.size
    text = (
        f"{dataset.info.recipe}, split {dataset.split}, all {count} pairs at {side}x{side}; averaged weights after "
        f"{images:,} images; seeds {seed} to {seed + count - 1}; RGB in [0, 1], mean over pictures"
    )
    return f"{text}; {trial.wording}" if trial.wording else text


def _sheet(shown: list[tuple[Trial, ImagesU8]], info: DatasetInfo) -> Image.Image:
    """One row a pair: for each trial input, result and target."""
    count = len(shown[0][1])
    chosen = np.linspace(0, count - 1, min(SHEET_PAIRS, count)).round().astype(int)
    rows = []
    for k in chosen:
        row: list[ImagesU8] = []
        for trial, pictures in shown:
            asked = with_dabs(displayable(trial.inputs["image"][k], info), trial.inputs["hints"][k])
            row += [asked, pictures[k], trial.target[k]]
        rows.append(row)
    return contact_sheet(rows)


def with_dabs(image: ImagesU8, hints: ImagesU8) -> ImagesU8:
    """An RGB picture with RGBA hints laid over it, for display."""
    alpha = hints[..., 3:].astype(np.float32) / 255
    blended: ImagesU8 = np.round(image * (1 - alpha) + hints[..., :3] * alpha).astype(np.uint8)
    return blended


def _unit(images_u8: ImagesU8) -> Tensor:
    """uint8 (N, H, W, 3) to [0, 1] (N, 3, H, W)."""
    return torch.from_numpy(images_u8.copy()).permute(0, 3, 1, 2).float() / 255
