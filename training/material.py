"""A prepared set as a run uses it, one class for each form: batches to learn from, and sheets of held-out pictures.

It builds no family: a sheet shows what it is given a function for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image

from training.batches import PairedBatches, UnpairedBatches, held_out_batch
from training.config import ConfigError, TrainConfig
from training.datasets import DatasetInfo, PairedDataset, displayable, read_info
from training.encoding import encode_picture
from training.families.protocol import Batch, DataForm
from training.loop import Batches
from training.sheets import contact_sheet
from training.source import SourceSpec
from training.unpaired import CHANNELS, UnpairedDataset, UnpairedInfo, is_unpaired, read_unpaired_info

SAMPLE_COUNT = 8
REMEDIES: dict[DataForm, str] = {
    "paired": "prepare a set of pairs (`inkwash-train prepare list`), or choose a family for unpaired pictures",
    "unpaired": "prepare one with `inkwash-train prepare unpaired --a DIR --b DIR`, or choose a family for pairs",
}

Preview = Callable[[Batch], Any]
"""What a family makes of held-out pictures: uint8 (N, H, W, 3), or several such by name."""


class Material(Protocol):
    """What a run must know of its data set."""

    @property
    def size(self) -> int:
        """Height and width of its pictures, pixels."""

    @property
    def source(self) -> SourceSpec:
        """Its inputs."""

    @property
    def held_out(self) -> PairedDataset | UnpairedDataset:
        """The split that is measured while a run trains."""

    def batches(self, config: TrainConfig, fabric: Fabric) -> Batches:
        """Endless training batches of one process."""

    def sheet(self, preview: Preview, config: TrainConfig, device: torch.device) -> Image.Image:
        """Held-out pictures and what the family makes of them."""


class PairedMaterial:
    """Pairs."""

    def __init__(self, training: PairedDataset, held_out: PairedDataset) -> None:
        self._training, self.held_out = training, held_out
        self.size = training.info.size
        self.source = source_spec(training.info)

    @classmethod
    def open(cls, folder: Path) -> Self:
        return cls(PairedDataset.open(folder, "train"), PairedDataset.open(folder, "val"))

    def batches(self, config: TrainConfig, fabric: Fabric) -> Batches:
        pairs, others = (self._training.source, self._training.target), list(self._training.others.values())
        return PairedBatches(*pairs, config, self.source, others_u8=others, **_place(fabric))

    def sheet(self, preview: Preview, config: TrainConfig, device: torch.device) -> Image.Image:
        chosen = _evenly_spaced(len(self.held_out))
        (source, *others), target = self.held_out.inputs(chosen).values(), self.held_out.target[chosen]
        batch = held_out_batch(source, target, self.source, device, has_hints=config.hints.enabled, others_u8=others)
        pictures = preview(batch).cpu().numpy()
        inputs = zip((source, *others), self.held_out.info.inputs, strict=True)
        return contact_sheet([*(list(displayable(images, spec)) for images, spec in inputs), list(pictures), list(target)])


class UnpairedMaterial:
    """Pictures of two domains."""

    source = SourceSpec("photo", CHANNELS)

    def __init__(self, training: UnpairedDataset, held_out: UnpairedDataset) -> None:
        self._training, self.held_out = training, held_out
        self.size = training.info.size

    @classmethod
    def open(cls, folder: Path) -> Self:
        return cls(UnpairedDataset.open(folder, "train"), UnpairedDataset.open(folder, "val"))

    def batches(self, config: TrainConfig, fabric: Fabric) -> Batches:
        return UnpairedBatches(self._training.a.images, self._training.b.images, config, **_place(fabric))

    def sheet(self, preview: Preview, config: TrainConfig, device: torch.device) -> Image.Image:  # noqa: ARG002
        """Rows of a, a as b, a and back again; b, b as a."""
        domains = self.held_out.a.images, self.held_out.b.images
        count = min(SAMPLE_COUNT, *(len(images) for images in domains))
        a, b = (images[_evenly_spaced(len(images), count)] for images in domains)
        made: Mapping[str, torch.Tensor] = preview({"a": _encoded(a, device), "b": _encoded(b, device)})
        fake_b, reconstructed_a, fake_a = (made[name].cpu().numpy() for name in ("fake_b", "reconstructed_a", "fake_a"))
        return contact_sheet([list(row) for row in (a, fake_b, reconstructed_a, b, fake_a)])


MATERIALS: dict[DataForm, type[PairedMaterial] | type[UnpairedMaterial]] = {
    "paired": PairedMaterial,
    "unpaired": UnpairedMaterial,
}


def open_material(folder: Path, form: DataForm, family: str) -> Material:
    """The data set that a family learns from.

    Raises:
        ConfigError: The folder holds a set of the other form.
        DatasetError: The folder is missing or damaged.
    """
    _require_form(folder, form, family)
    return MATERIALS[form].open(folder)


def read_any_info(folder: Path) -> DatasetInfo | UnpairedInfo:
    """`dataset.json` of either form.

    Raises:
        DatasetError: It is missing, unreadable or of another format.
    """
    return read_unpaired_info(folder) if is_unpaired(folder) else read_info(folder)


def source_spec(info: DatasetInfo | UnpairedInfo) -> SourceSpec:
    """What a family must know of a data set's inputs."""
    if isinstance(info, UnpairedInfo):
        return UnpairedMaterial.source
    main, *others = (SourceSpec(spec.kind, spec.channels, len(spec.palette), spec.name) for spec in info.inputs)
    return dataclasses.replace(main, others=tuple(others))


def _require_form(folder: Path, form: DataForm, family: str) -> None:
    found: DataForm = "unpaired" if is_unpaired(folder) else "paired"
    if found != form and (folder / "dataset.json").is_file():
        raise ConfigError(
            f"Family '{family}' learns from a data set that is {form}, but '{folder}' is {found}; {REMEDIES[form]}."
        )


def _place(fabric: Fabric) -> dict[str, Any]:
    return {"device": fabric.device, "rank": fabric.global_rank, "world_size": fabric.world_size}


def _evenly_spaced(length: int, count: int = SAMPLE_COUNT) -> NDArray[np.int64]:
    return np.linspace(0, length - 1, min(count, length)).astype(np.int64)


def _encoded(images_u8: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    return encode_picture(torch.from_numpy(np.ascontiguousarray(images_u8)).to(device))
