"""One network, its optimiser and its running average, which is what is served: families that learn without an adversary.

It knows no loss.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from training.config import SamplerConfig, TrainConfig
from training.descent import Descent, Objective
from training.families.protocol import Batch
from training.networks.average import averaged_copy, update_average

Network = TypeVar("Network", bound=nn.Module)


class Averaged(Generic[Network]):
    """A network on its device, stepped down one objective."""

    def __init__(self, network: Network, config: TrainConfig, section: SamplerConfig, fabric: Fabric) -> None:
        self._fabric, self._half_life = fabric, config.optimizer.ema_half_life_images
        optimizer = _optimizer(network, config, section)
        if config.loop.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: Network = averaged_copy(network, fabric.device).eval()
        placed, placed_optimizer = fabric.setup(network, optimizer)
        self.network: _FabricModule = placed
        self.optimizers: dict[str, Optimizer] = {"network": cast(Optimizer, placed_optimizer)}
        self._descent = Descent(fabric, {"network": placed}, self.optimizers, gradient_norm_max=section.gradient_norm_max)

    @property
    def networks(self) -> nn.ModuleDict:
        """The network and its average, without any wrapper of the device strategy."""
        return nn.ModuleDict({"network": self.network.module, "average": self.average})

    def step(self, batches: Sequence[Batch], objective: Callable[[Batch], Objective]) -> dict[str, float]:
        """One step on the mean of all batches, then the average's."""
        losses = self._descent.update(["network"], batches, objective)
        pictures = sum(len(batch["target"]) for batch in batches) * self._fabric.world_size
        update_average(self.average, self.network.module, pictures, self._half_life)
        return {name: loss.item() for name, loss in losses.items()}

    def start_from(self, own: Mapping[str, Tensor]) -> None:
        """Both take over the weights that they have under these names; others stay as they are.

        Raises:
            ValueError: A weight has another shape.
        """
        known = self.average.state_dict()
        found = {name: weight for name, weight in own.items() if name in known}
        whole = {**known, **found, "images_seen": torch.zeros((), dtype=torch.int64)}
        try:
            self.average.load_state_dict(whole)
        except RuntimeError as error:
            raise ValueError(f"The model's weights are not those of this network: {error}") from error
        self.network.module.load_state_dict({name: value for name, value in whole.items() if name != "images_seen"})

    def served(self, *, averaged: bool) -> Network:
        """A float32 copy on the processor, to be put into a served graph."""
        network = self.average if averaged else self.network.module
        return cast(Network, copy.deepcopy(network).requires_grad_(False).float().cpu().eval())


def _optimizer(network: nn.Module, config: TrainConfig, section: SamplerConfig) -> AdamW:
    """AdamW. The papers have L2 within Adam as a prior of weights, which acts more strongly at the same number."""
    options = config.optimizer
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    betas, decay = (options.beta1, options.beta2), section.weight_decay
    return AdamW(trained, lr=options.learning_rate, betas=betas, weight_decay=decay, fused=True)
