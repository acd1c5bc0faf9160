"""What is measured of pictures: figures by name, and the ways in which a served graph is asked for pictures of pairs.

It knows graphs and arrays, no run: `evaluate.py` judges a finished one with it, `validation.py` one that is training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from rich.progress import track
from skimage.morphology import skeletonize
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from training.boundaries import agreement, count
from training.color_figures import lab_intersection, mean_colorfulness
from training.colorspace import color_under_luma
from training.config import HintConfig
from training.datasets import ImagesU8, PairedDataset
from training.encoding import decode_picture, encode_picture
from training.families.protocol import Exportable
from training.hints import HintSampler
from training.serving import translate, without_hints

BATCH = 4
INKED = 128
"""Below this a pixel of a drawing is ink."""
AGREED = 170
"""Up to this a pixel of a target was drawn by at least a third of the people."""
FIGURE_TITLES = {
    "l1": "L1",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "line_f": "F-measure of lines",
    "line_precision": "precision",
    "line_recall": "recall",
    "ods": "ODS",
    "ois": "OIS",
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


class Figures(BaseModel):
    """Means over the pictures of one protocol.

    Attributes:
        values: By the names of `FIGURE_TITLES`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    protocol: str
    pairs: int
    values: dict[str, float]


@dataclass(frozen=True)
class Trial:
    """One way of asking: the inputs of the graph and the pictures that it should give, (N, H, W, C) uint8."""

    name: str
    wording: str
    inputs: Mapping[str, ImagesU8]
    target: ImagesU8


@dataclass(frozen=True)
class Way:
    """One direction of a pair of translations: its figures, the pictures it made, and those that came back."""

    values: Mapping[str, float]
    fake: ImagesU8
    reconstructed: ImagesU8


def trials(dataset: PairedDataset, *, has_hints: bool, seed: int) -> Iterator[Trial]:
    """Every way in which the model is asked: plainly; with hints also with dabs of the true colours and of other ones."""
    blank = without_hints(dataset.inputs())
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


def served_pictures(exportable: Exportable, trial: Trial, seed: int, *, is_quiet: bool = False) -> ImagesU8:
    """What people get of a served graph, (N, H, W, 3): a colouriser's colour lies under the photo's own luma."""
    pictures = _translate_all(exportable, trial, seed, is_quiet=is_quiet)
    return _under_luma(pictures, trial.inputs[exportable.image_names[0]]) if exportable.compose == "chroma" else pictures


def of_color(exportable: Exportable) -> bool:
    """Whether a model is to be judged by its colours too."""
    return exportable.compose == "chroma"


def measure(trial: Trial, pictures: ImagesU8, protocol: str, of_color: bool = False) -> Figures:
    """L1, PSNR and SSIM of `pictures` against the trial's targets, and how well their colours match where asked.

    Of drawings, one channel, it is how well their lines agree with the target's.
    """
    if trial.target.shape[-1] == 1:
        return Figures(name=trial.name, protocol=protocol, pairs=len(pictures), values=_line_values(pictures, trial.target))
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


def _line_values(drawings: ImagesU8, target: ImagesU8) -> dict[str, float]:
    """Agreement of thinned lines with those that at least a third of the people drew, (N, H, W, 1) both."""
    counts = [
        count(skeletonize(made[..., 0] < INKED), [wanted[..., 0] <= AGREED])  # type: ignore[no-untyped-call]
        for made, wanted in zip(drawings, target, strict=True)
    ]
    whole = agreement(np.sum(counts, axis=0))
    values = {"line_f": whole.f_measure, "line_precision": whole.precision, "line_recall": whole.recall}
    return {name: round(value, 4) for name, value in values.items()}


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


def _translate_all(exportable: Exportable, trial: Trial, seed: int, *, is_quiet: bool) -> ImagesU8:
    count = len(trial.target)
    parts = []
    for start in track(range(0, count, BATCH), description=f"Translating ({trial.name})", disable=is_quiet):
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


def measure_way(
    there: Exportable, back: Exportable, source: ImagesU8, target: ImagesU8, words: str, *, is_quiet: bool = False
) -> Way:
    """Figures of a translation without a right answer: what comes back, what stays, what changes, whose colours it has."""
    fake = translate_photos(there, source, words, is_quiet=is_quiet)
    reconstructed = translate_photos(back, fake, f"{words} and back", is_quiet=is_quiet)
    identity = translate_photos(there, target, f"{words} of what is there already", is_quiet=is_quiet)
    values = {
        "cycle_l1": _l1(reconstructed, source),
        "identity_l1": _l1(identity, target),
        "change_l1": _l1(fake, source),
        "lab_intersection": round(lab_intersection(fake, target), 4),
        "lab_intersection_before": round(lab_intersection(source, target), 4),
    }
    return Way(values, fake, reconstructed)


def translate_photos(exportable: Exportable, images: ImagesU8, words: str, *, is_quiet: bool = False) -> ImagesU8:
    """Photos through a graph that takes nothing else."""
    starts = track(range(0, len(images), BATCH), description=f"Translating ({words})", disable=is_quiet)
    parts = [images[start : start + BATCH] for start in starts]
    return np.concatenate([translate(exportable, {"image": part}, seeds=range(len(part))) for part in parts])


def _l1(made: ImagesU8, wanted: ImagesU8) -> float:
    """Mean absolute difference of RGB in [0, 1]."""
    return round(float(np.abs(made.astype(np.float32) - wanted.astype(np.float32)).mean()) / 255, 4)


def _unit(images_u8: ImagesU8) -> Tensor:
    """uint8 (N, H, W, 3) to [0, 1] (N, 3, H, W)."""
    return torch.from_numpy(images_u8.copy()).permute(0, 3, 1, 2).float() / 255
