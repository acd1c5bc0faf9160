"""One optimiser step from several batches. It knows networks by name only, and none of their losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor
from torch.optim import Optimizer

Part = TypeVar("Part")

Objective = tuple[Tensor, Mapping[str, Tensor]]
"""What is made small, and the unweighted losses that it is made of, by name."""


@dataclass(frozen=True)
class Descent:
    """How the networks of a family are updated.

    The gradients of several batches of one size are averaged before a step, which for losses that are means over independent
    samples is the step of one batch as large as all of them, in the memory of one.

    Attributes:
        networks: As Lightning Fabric set them up.
        optimizers: By the names of the networks.
        gradient_norm_max: A longer gradient of a network is shortened to this norm, and a network whose gradient is not finite
            is left as it is; 0 does neither.
    """

    fabric: Fabric
    networks: Mapping[str, _FabricModule]
    optimizers: Mapping[str, Optimizer]
    gradient_norm_max: float = 0.0

    def update(self, names: Sequence[str], parts: Sequence[Part], objective: Callable[[Part], Objective]) -> dict[str, Tensor]:
        """One step of the named networks on the mean of `objective` over `parts`; returns each loss, averaged likewise.

        Args:
            names: The networks to update; in a distributed run only the last part exchanges their gradients.
            parts: One or more batches of the same size.
            objective: Must run the networks itself, so that nothing is exchanged too early.
        """
        for name in names:
            self.optimizers[name].zero_grad()
        means: dict[str, Tensor] = {}
        for count, part in enumerate(parts, start=1):
            with self._without_exchange(names, enabled=count < len(parts)):
                total, losses = objective(part)
                self.fabric.backward(total / len(parts))
            for name, loss in losses.items():
                means[name] = means.get(name, torch.zeros_like(loss)) + loss.detach() / len(parts)
        for name in names:
            if self._is_clipped(name):
                self.optimizers[name].step()
        return means

    @contextmanager
    def _without_exchange(self, names: Sequence[str], *, enabled: bool) -> Iterator[None]:
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(self.fabric.no_backward_sync(self.networks[name], enabled=enabled))
            yield

    def _is_clipped(self, name: str) -> bool:
        """Shortens the network's gradient to the largest allowed norm; False where it is no number."""
        if not self.gradient_norm_max:
            return True
        network, optimizer = self.networks[name], self.optimizers[name]
        norm = self.fabric.clip_gradients(network, optimizer, max_norm=self.gradient_norm_max, error_if_nonfinite=False)
        return norm is None or bool(torch.isfinite(norm))
