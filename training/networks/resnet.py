"""The residual generator of CycleGAN, in the paper's form and in compact ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.config import Upsampling
from training.networks.doubling import ResizeConvolution
from training.networks.norm import InstanceNorm
from training.networks.reflection import ReflectionPad
from training.networks.squares import WideConvolution

WIDE = 7
"""Kernels from this side on are computed over squares of pixels."""


class ResNetGenerator(nn.Module):
    """Encoder, residual blocks at low resolution, decoder (Zhu et al. 2017, 4 and 7.2; blocks as Johnson et al. 2016).

    image: (N, in_channels, H, W); H, W multiples of 2**downsamplings. Result: (N, out_channels, H, W) in [-1, 1].

    The defaults are the paper's list for 256 pixels: c7s1-64, d128, d256, R256 nine times, u128, u64, c7s1-3, with reflection
    padding and instance norm; 6 blocks are its list for 128. Departures:

    - Norms have a learned scale and shift, as in this package's U-Net; the authors' have none.
    - `Upsampling.RESIZE` doubles by nearest neighbour and a 3x3 convolution instead of a 3x3 transposed one: no checkerboard.
    - `max_channels` caps the width of deep levels. More `downsamplings` under a cap put the blocks where pixels are few: the
      same number of blocks for a fraction of the arithmetic.
    - `input_skip` adds a linear map of the input before tanh. What passes through few pixels loses fine detail, which the
      input still has; the paper's two halvings do not need it.

    The network is fully convolutional, so that one graph takes pictures of many sizes.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        *,
        base_channels: int = 64,
        max_channels: int = 256,
        downsamplings: int = 2,
        residual_blocks: int = 9,
        upsampling: Upsampling = Upsampling.TRANSPOSE,
        input_skip: bool = False,
    ) -> None:
        super().__init__()
        self.downsamplings = downsamplings
        widths = [min(base_channels * 2**level, max_channels) for level in range(downsamplings + 1)]
        self.first = nn.Sequential(*_reflected(in_channels, widths[0], 7), *_norm_relu(widths[0]))
        self.encoder = nn.Sequential(*_encoder(widths))
        self.blocks = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(residual_blocks)))
        self.decoder = nn.Sequential(*_decoder(widths, upsampling))
        self.last = nn.Sequential(*_reflected(widths[0], out_channels, 7, bias=True))
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False) if input_skip else None

    def forward(self, image: Tensor) -> Tensor:
        features = self.encoder(self.first(image))  # (N, c, H / 2**downsamplings, W / 2**downsamplings)
        features = self.decoder(self.blocks(features))  # (N, base_channels, H, W)
        result: Tensor = self.last(features)
        return torch.tanh(result if self.skip is None else result + self.skip(image))


class ResidualBlock(nn.Module):
    """Rk: two 3x3 convolutions with reflection padding and norms, added to what came in; nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_reflected(channels, channels, 3),
            *_norm_relu(channels),
            *_reflected(channels, channels, 3),
            InstanceNorm(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.layers(features)
        return result


def _encoder(widths: Sequence[int]) -> list[nn.Module]:
    """dk: 3x3 convolutions with stride 2."""
    layers: list[nn.Module] = []
    for level in range(1, len(widths)):
        layers += [nn.Conv2d(widths[level - 1], widths[level], 3, stride=2, padding=1, bias=False), *_norm_relu(widths[level])]
    return layers


def _decoder(widths: Sequence[int], upsampling: Upsampling) -> list[nn.Module]:
    """uk: 3x3 convolutions with stride 1/2."""
    layers: list[nn.Module] = []
    for level in range(len(widths) - 1, 0, -1):
        layers += [_doubling(widths[level], widths[level - 1], upsampling), *_norm_relu(widths[level - 1])]
    return layers


def _doubling(in_channels: int, out_channels: int, upsampling: Upsampling) -> nn.Module:
    if upsampling is Upsampling.TRANSPOSE:
        return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False)
    return ResizeConvolution(in_channels, out_channels, bias=False)


def _reflected(in_channels: int, out_channels: int, kernel: int, *, bias: bool = False) -> list[nn.Module]:
    """A convolution that sees mirrored pixels beyond the border: zeros there leave a frame in the result."""
    convolution = WideConvolution if kernel >= WIDE else nn.Conv2d
    return [ReflectionPad(kernel // 2), convolution(in_channels, out_channels, kernel, bias=bias)]


def _norm_relu(channels: int) -> list[nn.Module]:
    return [InstanceNorm(channels), nn.ReLU(inplace=True)]
