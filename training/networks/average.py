"""A running average of a network's weights, which gives calmer pictures than the network itself."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def averaged_copy(network: Network, device: torch.device) -> Network:
    """A copy that no gradient reaches, with a buffer `images_seen`, so that a checkpoint of it is whole."""
    average = copy.deepcopy(network).requires_grad_(False).to(device)
    average.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
    return average


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, images: int, half_life_images: float) -> None:
    """Moves the average towards the network after a step of `images`; a half-life of 0 copies it.

    Buffers, such as the statistics of batch normalisation, follow alike. Early on the half-life is a tenth of what was seen, so
    that the average is never stale.
    """
    seen = cast(Tensor, average.images_seen)
    seen += images
    half_life = min(half_life_images, float(seen) / 10)
    decay = 0.5 ** (images / half_life) if half_life > 0 else 0.0
    averages: list[Tensor] = list(average.parameters())
    parameters: list[Tensor] = list(network.parameters())
    torch._foreach_lerp_(averages, parameters, 1.0 - decay)
    own = dict(average.named_buffers())
    for name, buffer in network.named_buffers():  # statistics of batch normalisation
        own[name].lerp_(buffer, 1.0 - decay) if buffer.is_floating_point() else own[name].copy_(buffer)
