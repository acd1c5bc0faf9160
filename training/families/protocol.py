"""What the loop, the exporter and the contract test know of a model family. It deliberately knows no family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

Batch = Mapping[str, Tensor]
"""Named tensors of one step, batch first, already on the device. Paired sets: `source` and `target`, and `hints` where used."""


@dataclass(frozen=True)
class LatentSpec:
    """The random input of an exported graph: `float32 (N, *shape)`."""

    shape: tuple[int, ...]
    distribution: Literal["bernoulli", "normal"]
    name: str = "latent"


@dataclass(frozen=True)
class Exportable:
    """A module that does all arithmetic of the served graph.

    `module(*images, *[latent])` takes one `uint8 (N, H, W, C)` tensor for each of `image_names`, in that order, then the latent
    when there is one, and returns `uint8 (N, H', W', channels)`. Every name becomes a graph input; the graph has one output.
    With `compose` "chroma" only its colour is used, under the photo's own luma.
    """

    module: nn.Module
    image_names: tuple[str, ...]
    latent: LatentSpec | None
    compose: Literal["replace", "chroma"] = "replace"


class Family(Protocol):
    """Networks, their optimisers, one update, and what is exported."""

    @property
    def networks(self) -> nn.ModuleDict:
        """All that a checkpoint holds."""

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """One optimiser a name; the loop schedules their learning rates."""

    def step(self, batch: Batch) -> dict[str, float]:
        """Makes one full update and returns unweighted losses."""

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over the weights of an exported module, by their names in it, before a run's first step.

        Raises:
            ValueError: A weight is missing or has another shape.
        """

    def exportable(self) -> Exportable:
        """The module to serve: averaged weights where the family keeps an average."""
