"""A history of generated pictures for the discriminator. It judges nothing and knows no family."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keeps up to `capacity` pictures and mixes them into what a discriminator sees (Shrivastava et al. 2017, 2.3).

    A discriminator that only sees the newest pictures forgets what it knew and chases the generator round in circles; CycleGAN
    (4) keeps 50. Until the pool is full it returns what it is given. Then each picture is returned as it is with probability
    one half; else an old one is, whose place it takes. Draws come from torch's generator on the CPU.

    Pictures are kept as bytes: a pool of 50 at 256 pixels is 10 MB of a checkpoint. As a module it is part of a family's
    `networks`, and so of a checkpoint. In a distributed run each process has its own, and a checkpoint holds the first one's.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.kept: Tensor
        self.register_buffer("kept", torch.zeros(0, dtype=torch.uint8))

    @torch.no_grad()
    def sample(self, images: Tensor) -> Tensor:
        """As many pictures as it is given, (N, C, H, W) in [-1, 1], some of them old ones."""
        if self.capacity == 0:
            return images
        if self.kept.shape[1:] != images.shape[1:]:  # the first pictures, or the first of another size
            self.kept = _to_bytes(images[:0])
        return torch.stack([self._exchange(image) for image in images])

    def _exchange(self, image: Tensor) -> Tensor:
        count = len(self.kept)
        if count < self.capacity:
            self.kept = torch.cat([self.kept, _to_bytes(image[None])])
            return image
        if torch.rand(()) < 0.5:
            return image
        place = int(torch.randint(count, ()))
        old = self.kept[place].to(image.dtype) / 127.5 - 1.0
        self.kept[place] = _to_bytes(image)
        return old

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """A stored pool has as many pictures as it had come to, so it decides the buffer's shape."""
        if (stored := state_dict.get(f"{prefix}kept")) is not None:
            self.kept = torch.empty_like(stored, device=self.kept.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _to_bytes(images: Tensor) -> Tensor:
    return torch.round((images.float() + 1.0) * 127.5).clamp(0, 255).to(torch.uint8)
