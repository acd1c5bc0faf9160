"""What takes part in a comparison of colourings: runs, exported models, and the gray photo itself, all asked in one way.

It measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from training.datasets import DatasetInfo
from training.families.protocol import Batch, Exportable, Family, LatentSpec, ParameterSpec
from training.run import Run
from training.trained import open_trained

GRAY = "gray"
TEMPERATURE = "temperature"
"""What names of parameters end in that scale a latent or a part of it; all are asked at one value."""


class EntrantError(ValueError):
    """Something that cannot take part; the message says why and what can."""


@dataclass(frozen=True)
class Likelihood:
    """Nats per dimension of each picture of a batch, and whether they are but a bound from above."""

    of: Callable[[Batch], Tensor]
    is_bound: bool


@dataclass(frozen=True)
class Entrant:
    """Something that colours photos.

    Attributes:
        exportable: From gray bytes to pictures.
        size: Height and width that it takes; None: any.
        images: Pictures that it had seen in training; None where it learned nothing.
        seconds: That its training took, as far as its records tell.
        likelihood: Where the family has one.
        data: The prepared set that it learned from, where that is known.
    """

    name: str
    exportable: Exportable
    size: tuple[int, int] | None = None
    images: int | None = None
    seconds: float | None = None
    likelihood: Likelihood | None = None
    data: Path | None = None

    def at(self, temperature: float) -> Exportable:
        """Its graph with another default temperature, where it has one."""
        parameters = tuple(
            replace(parameter, default=temperature) if parameter.name.endswith(TEMPERATURE) else parameter
            for parameter in self.exportable.parameters
        )
        return replace(self.exportable, parameters=parameters)

    def calm(self) -> Exportable:
        """Its graph without chance: the middle of its latent, whatever is drawn."""
        latent = self.exportable.latent
        if latent is None:
            return self.exportable
        middle = 0.5 if latent.distribution == "bernoulli" else 0.0
        place = len(self.exportable.image_names)
        return replace(self.exportable, module=_WithoutChance(self.exportable.module, place, middle))


def gray() -> Entrant:
    """The photo as it came: what a colouriser that paints no colour would reach."""
    return Entrant(GRAY, Exportable(_Untouched(), ("image",), latent=None))


def open_entrants(folders: Sequence[Path], data: Path | None = None) -> list[Entrant]:
    """Runs and models, named after their folders, with the folder above where two are called alike.

    Args:
        folders: Of runs, or of exported models.
        data: A prepared set, for runs whose own has moved.

    Raises:
        EntrantError: A folder is neither, is named twice, or does not colour gray photos.
        RunError, DatasetError: A run cannot be opened.
    """
    resolved = [folder.resolve() for folder in folders]
    for folder in resolved:
        if resolved.count(folder) > 1:
            raise EntrantError(f"'{folder}' is named twice; name every run or model once.")
    plain = [folder.name for folder in resolved]
    names = [folder.name if plain.count(folder.name) == 1 else f"{folder.parent.name}/{folder.name}" for folder in resolved]
    return [_open(folder, name, data) for folder, name in zip(folders, names, strict=True)]


def _open(folder: Path, name: str, data: Path | None) -> Entrant:
    if (folder / "config.json").is_file():
        return _open_run(folder, name, data)
    if (folder / "manifest.json").is_file():
        return _open_model(folder, name)
    raise EntrantError(
        f"'{folder}' is neither a run (it has no config.json) nor an exported model (no manifest.json); give the folder that "
        "`inkwash-train train` or `inkwash-train export` made."
    )


# --- runs


def _open_run(folder: Path, name: str, data: Path | None) -> Entrant:
    config = Run.open(folder).config()
    trained = open_trained(folder, data if data is not None and not (config.data / "dataset.json").is_file() else None)
    if not isinstance(trained.info, DatasetInfo) or trained.info.kind != "gray" or len(trained.info.inputs) > 1:
        raise EntrantError(f"Run '{folder}' does not colour gray photos (family '{config.family}'); leave it out.")
    (exportable,) = trained.exportables.values()
    return Entrant(
        name,
        exportable,
        (trained.info.size, trained.info.size),
        trained.images,
        training_seconds(trained.run, trained.images),
        _likelihood(trained.family),
        trained.data,
    )


def training_seconds(run: Run, images: int) -> float | None:
    """How long a run took to come to `images`, by the speeds that it noted; None where it noted none."""
    if not run.metrics.is_file():
        return None
    seconds, before = 0.0, 0
    for line in run.metrics.read_text("utf-8").splitlines():
        told = json.loads(line)
        if "images_per_second" in told and before < told["images"] <= images:
            seconds += (told["images"] - before) / told["images_per_second"]
            before = told["images"]
    return seconds or None


def _likelihood(family: Family | None) -> Likelihood | None:
    for name, is_bound in (("likelihood", False), ("likelihood_bound", True)):
        of = getattr(family, name, None)
        if of is not None:
            return Likelihood(of, is_bound)
    return None


# --- exported models


class _Told(BaseModel):
    """What is read of a manifest; `server/manifest.py` says what it means."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Size(_Told):
    height: int
    width: int


class _Input(_Told):
    name: str
    kind: str
    size: _Size | dict[str, int]
    optional: bool = False


class _Latent(_Told):
    name: str
    shape: tuple[int, ...]
    distribution: Literal["bernoulli", "normal"]


class _Parameter(_Told):
    name: str
    min: float
    max: float
    step: float
    default: float


class _Output(_Told):
    compose: Literal["replace", "chroma"] = "replace"
    channels: int = 3


class _Training(_Told):
    seen_images: int


class _Manifest(_Told):
    inputs: tuple[_Input, ...]
    output: _Output
    latent: _Latent | None = None
    parameters: tuple[_Parameter, ...] = Field(default=())
    training: _Training


def _open_model(folder: Path, name: str) -> Entrant:
    path = folder / "manifest.json"
    try:
        manifest = _Manifest.model_validate_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise EntrantError(f"'{path}' is damaged or of another version: {error}. Export the model again.") from error
    kinds = [spec.kind for spec in manifest.inputs]
    if kinds != ["gray"] or manifest.output.channels != 3:
        raise EntrantError(f"Model '{folder}' does not colour gray photos: it takes {', '.join(kinds)}; leave it out.")
    latent = manifest.latent
    parameters = [
        ParameterSpec(spec.name, spec.min, spec.max, spec.step, spec.default, title={}, help={}) for spec in manifest.parameters
    ]
    names = [manifest.inputs[0].name, *([latent.name] if latent else []), *(spec.name for spec in parameters)]
    exportable = Exportable(
        _Graph(folder / "model.onnx", names),
        (manifest.inputs[0].name,),
        latent=LatentSpec(latent.shape, latent.distribution, latent.name) if latent else None,
        compose=manifest.output.compose,
        parameters=tuple(parameters),
    )
    size = manifest.inputs[0].size
    fixed = (size.height, size.width) if isinstance(size, _Size) else None
    return Entrant(name, exportable, fixed, manifest.training.seen_images)


class _Graph(nn.Module):
    """An exported graph in onnxruntime, called as the module that it was made from."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        super().__init__()
        if not path.is_file():
            raise EntrantError(f"'{path}' is missing; export the model again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = tuple(names)

    def forward(self, *given: Tensor) -> Tensor:
        feeds = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in zip(self._names, given, strict=True)}
        return torch.from_numpy(self._session.run(None, feeds)[0])


class _Untouched(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        """uint8 (N, H, W, 1) to (N, H, W, 3)."""
        return image.expand(-1, -1, -1, 3)


class _WithoutChance(nn.Module):
    """A graph whose latent is always `middle`."""

    def __init__(self, module: nn.Module, place: int, middle: float) -> None:
        super().__init__()
        self._module, self._place, self._middle = module, place, middle

    def forward(self, *given: Tensor) -> Tensor:
        latent = torch.full_like(given[self._place], self._middle)
        result: Tensor = self._module(*given[: self._place], latent, *given[self._place + 1 :])
        return result
