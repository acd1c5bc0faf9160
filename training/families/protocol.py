"""What the loop, the exporter and the contract test know of a model family. It deliberately knows no family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.config import TrainConfig
from training.source import SourceSpec

Batch = Mapping[str, Tensor]
"""Named tensors of one step, batch first, already on the device. Paired sets: `source` (all inputs laid on one another) and
`target`, and `hints` and `scheme` where used; unpaired ones: `a` and `b`."""

DataForm = Literal["paired", "unpaired"]


@dataclass(frozen=True)
class LatentSpec:
    """The random input of an exported graph: `float32 (N, *shape)`."""

    shape: tuple[int, ...]
    distribution: Literal["bernoulli", "normal"]
    name: str = "latent"


@dataclass(frozen=True)
class ParameterSpec:
    """A number that whoever asks for a picture may choose: a graph input `float32 (N, 1)`. Texts are by language."""

    name: str
    min: float
    max: float
    step: float
    default: float
    title: Mapping[str, str]
    help: Mapping[str, str]


@dataclass(frozen=True)
class Exportable:
    """A module that does all arithmetic of the served graph.

    `module(*images, *[latent], *parameters)` takes one `uint8 (N, H, W, C)` tensor for each of `image_names`, in that order,
    then the latent when there is one, then the parameters, and returns `uint8 (N, H', W', channels)`. Every name becomes a
    graph input; the graph has one output. With `compose` "chroma" only its colour is used, under the photo's own luma. With
    `size_multiple_of` the graph takes every height and width that are multiples of it; without, those of the data set. A graph
    that draws lines, dark on white, names in `line_width` the parameter that is their width in pixels. `encoder(style)` is a
    second graph: a picture, `uint8 (N, H, W, 3)`, to the latent `float32 (N, *shape)` that gives it back at the defaults.
    """

    module: nn.Module
    image_names: tuple[str, ...]
    latent: LatentSpec | None
    compose: Literal["replace", "chroma"] = "replace"
    size_multiple_of: int | None = None
    parameters: tuple[ParameterSpec, ...] = ()
    line_width: str | None = None
    encoder: nn.Module | None = None


class Family(Protocol):
    """Networks, their optimisers, one update, and what is exported."""

    @property
    def networks(self) -> nn.ModuleDict:
        """All that a checkpoint holds."""

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """One optimiser a name; the loop schedules their learning rates."""

    def step(self, *batches: Batch) -> dict[str, float]:
        """Makes one full update on the mean of the losses of one or more batches; returns unweighted losses, averaged likewise.

        Several batches of one size give the step that one batch of all their images would give (`training/descent.py`), but for
        networks with batch normalisation, which see one batch at a time.
        """

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over the weights of an exported module, by their names in it, before a run's first step.

        Raises:
            ValueError: A weight is missing or has another shape.
        """

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        """The modules to serve, by what tells their models apart; a single one's key is empty.

        With the running average of the weights, or with the weights as the last step left them.
        """


class FamilyType(Protocol):
    """How a family is made."""

    @property
    def data_form(self) -> DataForm:
        """What kind of data set it learns from."""

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections of a configuration that it reads, among those which not every family does."""

    def __call__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> Family: ...
