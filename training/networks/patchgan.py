"""Discriminators that judge patches, not pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.networks.norm import InstanceNorm

Window = tuple[slice, slice, slice, slice]
"""Index of a part of a batch (N, C, H, W)."""


def random_window(size: Sequence[int], side: int) -> Window:
    """A window of `side` pixels at a random place of pictures of `size` (H, W); the whole picture where `side` is 0 or more.

    Its patches are a sample of all patches, so the mean over them estimates the mean over the picture: the verdict stays what
    it was, noisier, for a part of the arithmetic. Drawn from torch's generator, once for both halves of a step.
    """
    rows, columns = (_span(length, side) for length in size)
    return slice(None), slice(None), rows, columns


def _span(length: int, side: int) -> slice:
    if not 0 < side < length:
        return slice(None)
    start = int(torch.randint(length - side + 1, ()))
    return slice(start, start + side)


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017, 3.2 and 6.1.2): one logit for every patch of `receptive_field` pixels.

    image: (N, in_channels, H, W), the condition and the picture beside each other along C. Result: logits (N, 1, h, w).

    `layers` counts the stride-2 convolutions after which one of stride 1 follows, as in the authors' code: 1, 3 and 5 see 16,
    70 and 286 pixels. Departure: instance statistics for batch norm, as in the generator.
    """

    def __init__(self, in_channels: int, *, base_channels: int = 64, layers: int = 3) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers is {layers}; a patch network has at least 1. Use PixelDiscriminator for 1x1 patches.")
        self.layers = layers
        widths = [base_channels * min(2**level, 8) for level in range(layers + 1)]
        # Activations in place: their gradient is taken from their result, which the next convolution keeps anyway.
        blocks: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            blocks += [
                nn.Conv2d(widths[level - 1], widths[level], 4, stride=stride, padding=1, bias=False),
                InstanceNorm(widths[level]),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        blocks.append(nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1))
        self.blocks = nn.Sequential(*blocks)

    @property
    def receptive_field(self) -> int:
        """Side in pixels of what one logit sees, walked back from the output: r -> (r - 1) * stride + kernel."""
        field = 1
        for block in reversed(self.blocks):
            if isinstance(block, nn.Conv2d):
                field = (field - 1) * block.stride[0] + block.kernel_size[0]
        return field

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.blocks(image)
        return result


class PixelDiscriminator(nn.Module):
    """The 1x1 network of 6.1.2: judges each pixel alone, so it rewards right colours and knows no texture."""

    receptive_field = 1

    def __init__(self, in_channels: int, *, base_channels: int = 64) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Conv2d(in_channels, base_channels, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(base_channels, base_channels * 2, 1, bias=False),
            InstanceNorm(base_channels * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(base_channels * 2, 1, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.blocks(image)
        return result
