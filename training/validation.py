"""Held-out figures while a run trains: of the model as it would be served now, on a few pictures that are always the same.

It draws nothing from torch's random numbers, so a run trains alike whether it is measured or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.config import ConfigError, LoopConfig
from training.datasets import DatasetInfo, PairedDataset
from training.families.protocol import Exportable, Family
from training.figures import measure, measure_way, of_color, served_pictures, trials
from training.unpaired import UnpairedDataset, UnpairedInfo
from training.watch import HIGHER_IS_BETTER

Validation = Callable[[], dict[str, float]]

SEED = 0
"""First seed of the noise: that of picture k is this and k more."""


def open_validation(
    family: Family, held_out: PairedDataset | UnpairedDataset, loop: LoopConfig, device: torch.device
) -> Validation | None:
    """What measures a family every so often, or None where the configuration asks for no figures.

    Raises:
        ConfigError: The best is to be kept by a figure that is not measured, or that is neither good nor bad.
    """
    if not loop.validate_every_images:
        return None
    _require_measured(loop.keep_best, held_out, is_color=any(map(of_color, family.exportables().values())))
    if isinstance(held_out, UnpairedDataset):
        return _unpaired(family, held_out, loop.validate_images, device)
    return _paired(family, held_out, loop.validate_images, device)


def _paired_figures(info: DatasetInfo | UnpairedInfo) -> set[str]:
    draws = isinstance(info, DatasetInfo) and info.target_channels == 1
    return {"line_f", "line_precision", "line_recall"} if draws else {"l1", "psnr", "ssim"}


def _require_measured(metric: str | None, held_out: PairedDataset | UnpairedDataset, *, is_color: bool) -> None:
    is_unpaired = isinstance(held_out, UnpairedDataset)
    measured = {"cycle_l1", "identity_l1"} if is_unpaired else _paired_figures(held_out.info)
    measured |= {"lab_intersection"} if is_unpaired or is_color else set()
    if metric is not None and metric not in measured:
        known = ", ".join(name for name in HIGHER_IS_BETTER if name in measured)
        raise ConfigError(f"Config key 'loop.keep_best' has value '{metric}'; of this run the best is told by one of {known}.")


def _paired(family: Family, held_out: PairedDataset, count: int, device: torch.device) -> Validation:
    """Figures of pairs, asked without hints."""
    chosen = _evenly_spaced(len(held_out), count)
    few = replace(
        held_out,
        names=tuple(held_out.names[k] for k in chosen),
        source=held_out.source[chosen],
        target=held_out.target[chosen],
        others={name: images[chosen] for name, images in held_out.others.items()},
    )

    def validate() -> dict[str, float]:
        (exportable,) = _placed(family, device).values()
        trial = next(trials(few, has_hints="hints" in exportable.image_names, seed=SEED))
        pictures = served_pictures(exportable, trial, SEED, is_quiet=True)
        return measure(trial, pictures, "while training", of_color(exportable)).values

    return validate


def _unpaired(family: Family, held_out: UnpairedDataset, count: int, device: torch.device) -> Validation:
    """Figures of both directions, their mean."""
    a, b = (domain.images[_evenly_spaced(len(domain), count)] for domain in (held_out.a, held_out.b))

    def validate() -> dict[str, float]:
        graphs = _placed(family, device)
        there, back = graphs["ab"], graphs["ba"]
        ways = (
            measure_way(there, back, a, b, "ab", is_quiet=True).values,
            measure_way(back, there, b, a, "ba", is_quiet=True).values,
        )
        return {name: float(np.mean([values[name] for values in ways])) for name in ways[0]}

    return validate


def _placed(family: Family, device: torch.device) -> Mapping[str, Exportable]:
    """The served graphs, copies of their own, where the family computes."""
    return {key: replace(graph, module=graph.module.to(device)) for key, graph in family.exportables().items()}


def _evenly_spaced(length: int, count: int) -> NDArray[np.int64]:
    return np.linspace(0, length - 1, min(count, length)).round().astype(np.int64)
