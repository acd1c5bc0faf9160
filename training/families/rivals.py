"""A painting generator and the discriminator that judges it, with their optimisers: what every family of pairs has.

It knows neither what is painted nor what is judged.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.config import OptimizerConfig
from training.descent import Descent
from training.families.protocol import LatentSpec
from training.networks.average import averaged_copy, update_average
from training.networks.build import adam
from training.networks.unet import UNetGenerator

FIRST, LAST = "encoder.0.convolution.weight", "last."
"""Of `UNetGenerator`: the weights that depend on what goes in, and those that depend on what comes out."""


class Rivals:
    """Generator and discriminator on their device, and the generator's running average, which is what is served."""

    def __init__(self, generator: UNetGenerator, discriminator: nn.Module, options: OptimizerConfig, fabric: Fabric) -> None:
        self._fabric, self._half_life = fabric, options.ema_half_life_images
        self.average = averaged_copy(generator, fabric.device)
        self.generator, generator_optimizer = fabric.setup(generator, adam(generator, options))
        self.discriminator, discriminator_optimizer = fabric.setup(discriminator, adam(discriminator, options))
        self.optimizers: dict[str, Optimizer] = {
            "generator": cast(Optimizer, generator_optimizer),
            "discriminator": cast(Optimizer, discriminator_optimizer),
        }
        placed = {"generator": self.generator, "discriminator": self.discriminator}
        self.descent = Descent(fabric, placed, self.optimizers)

    @property
    def networks(self) -> nn.ModuleDict:
        """Generator, discriminator and averaged generator, without any wrapper of the device strategy."""
        return nn.ModuleDict(
            {"generator": self.generator.module, "discriminator": self.discriminator.module, "average": self.average}
        )

    def update_average(self, pictures: int) -> None:
        """Moves the average after a step of this many pictures in this process."""
        update_average(self.average, self.generator.module, pictures * self._fabric.world_size, self._half_life)

    def draw_noise(self, condition: Tensor) -> Tensor:
        """Dropout masks for a batch, (N, noise_size) of zeros and ones."""
        return torch.empty(len(condition), self.average.noise_size, device=condition.device).bernoulli_(0.5)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """The generator and its average start as the served generator; the discriminator, which is not served, as it is.

        At its border the served one may differ: where one of them sees more channels behind those that both see, the common
        ones are taken, and a last layer of another form starts anew.

        Raises:
            ValueError: They are not those of this generator.
        """
        given = {name.removeprefix("generator."): weight for name, weight in weights.items() if name.startswith("generator.")}
        try:
            own = fitted_at_the_border(given, self.generator.module.state_dict())
            self.generator.module.load_state_dict(own)
            self.average.load_state_dict({**own, "images_seen": torch.zeros((), dtype=torch.int64)})
        except RuntimeError as error:
            raise ValueError(f"The model's weights are not those of this generator: {error}") from error

    def served_generator(self, *, averaged: bool) -> nn.Module:
        """A float32 copy on the processor, to be put into a served graph."""
        generator = self.average if averaged else self.generator.module
        served: nn.Module = copy.deepcopy(generator).requires_grad_(False).float().cpu()
        return served

    @property
    def latent(self) -> LatentSpec | None:
        """The dropout masks as an input of the served graph; None where nothing drops out."""
        noise_size = self.average.noise_size
        return LatentSpec(shape=(noise_size,), distribution="bernoulli") if noise_size else None


def fitted_at_the_border(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Given weights of a U-Net, with the first layer widened or narrowed and the last one replaced where `own` differ there.

    Channels are told apart by their place alone: the first ones must mean the same to both. Those that only `own` has count for
    nothing at first.

    Raises:
        RuntimeError: The first layers have other numbers of results.
    """
    fitted = dict(given)
    if FIRST in given and given[FIRST].shape[1] != own[FIRST].shape[1]:
        common = min(given[FIRST].shape[1], own[FIRST].shape[1])
        fitted[FIRST] = torch.zeros_like(own[FIRST])
        fitted[FIRST][:, :common] = given[FIRST][:, :common].to(own[FIRST])
    last = {name: weight for name, weight in own.items() if name.startswith(LAST)}
    if {name: weight.shape for name, weight in given.items() if name.startswith(LAST)} != {
        name: weight.shape for name, weight in last.items()
    }:
        fitted = {name: weight for name, weight in fitted.items() if not name.startswith(LAST)} | last
    return fitted
