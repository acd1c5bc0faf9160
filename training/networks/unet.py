"""The U-Net generator of pix2pix, in the paper's form and in a compact one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.config import NoiseKind, Upsampling
from training.networks.activation import rectified
from training.networks.doubling import ResizeConvolution
from training.networks.norm import InstanceNorm

SLOPE = 0.2
"""Of the encoder's LeakyReLU."""


class UNetGenerator(nn.Module):
    """Encoder and decoder joined level by level (Isola et al. 2017, 3.2 and 6.1.1).

    image: (N, in_channels, H, W); H, W multiples of 2**levels. noise: (N, noise_size) of zeros and ones. Result:
    (N, out_channels, H, W) in [-1, 1].

    The defaults are the paper's list C64-C128-C256-C512-C512-C512-C512-C512 and its mirror. Departures:

    - Instance statistics with a learned scale and shift stand for batch norm: the paper trains and tests with the statistics
      of a batch of one image (3.3), which is the same thing and stays so at any batch size.
    - The bottleneck has no norm: its map may be a single pixel, whose normalised value would be zero.
    - Dropout (3.1, the only noise) takes its masks as an input, so that a seed reproduces a picture. `NoiseKind.CHANNEL`
      switches whole channels: a smaller latent, and variations that differ visibly.
    - `Upsampling.RESIZE` doubles by nearest neighbour and a 3x3 convolution instead of a 4x4 transposed one: no checkerboard.
    - `input_skip` shows the last layer the input itself, since the first skip connection starts at half resolution.
    - `finish_channels` puts features at full resolution before the last layer. Without them every pixel of the result is a
      linear map of maps at half resolution, which makes rims jagged.
    - The last `flat_channels` of the input are the same all over a picture, so that the last layer needs no look at them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        base_channels: int = 64,
        max_channels: int = 512,
        levels: int = 8,
        upsampling: Upsampling = Upsampling.TRANSPOSE,
        input_skip: bool = False,
        noise: NoiseKind = NoiseKind.ELEMENT,
        noise_levels: int = 3,
        finish_channels: int = 0,
        flat_channels: int = 0,
        image_size: int = 256,
    ) -> None:
        super().__init__()
        if image_size % 2**levels:
            raise ValueError(
                f"image_size {image_size} is not a multiple of 2**levels = {2**levels}; lower `levels` or change the size."
            )
        self.levels = levels
        self.noise_levels = min(noise_levels, levels - 1)
        channels = [min(base_channels * 2**level, max_channels) for level in range(levels)]
        self.encoder = nn.ModuleList(
            Down(in_channels if level == 0 else channels[level - 1], channels[level], level, levels) for level in range(levels)
        )
        self.decoder = nn.ModuleList(
            _Up(channels[level] * (1 if level == levels - 1 else 2), channels[level - 1], upsampling)
            for level in range(levels - 1, 0, -1)
        )
        self.skip_channels = skip_channels = in_channels - flat_channels if input_skip else 0
        self.last = (
            _Finish(channels[0] * 2, finish_channels, out_channels, skip_channels, upsampling)
            if finish_channels
            else _Last(channels[0] * 2, out_channels, skip_channels, upsampling)
        )
        self.noise_shapes = self._noise_shapes(channels, image_size, noise)
        self.noise_size = sum(c * h * w for c, h, w in self.noise_shapes)

    def _noise_shapes(self, channels: list[int], image_size: int, noise: NoiseKind) -> list[tuple[int, int, int]]:
        shapes = []
        for index in range(self.noise_levels):
            level = self.levels - 1 - index
            side = image_size // 2**level if noise is NoiseKind.ELEMENT else 1
            shapes.append((channels[level - 1], side, side))
        return shapes

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """Translates a batch. `noise` holds the dropout masks of the innermost decoder levels, flattened, innermost first."""
        skips = []
        features = image
        for down in self.encoder:
            features = down(features)  # (N, c_level, H / 2**(level+1), W / 2**(level+1))
            skips.append(features)
        skips.pop()
        offset = 0
        for index, up in enumerate(self.decoder):
            features = up(features)
            if index < self.noise_levels:
                c, h, w = self.noise_shapes[index]
                mask = noise[:, offset : offset + c * h * w].reshape(-1, c, h, w)
                offset += c * h * w
                features = features * (mask * 2.0)  # dropout with p = 0.5 keeps the expectation by doubling what stays
            features = torch.cat([features, skips.pop()], dim=1)  # (N, 2 c, H / 2**level, W / 2**level)
        result: Tensor = self.last(features, image[:, : self.skip_channels] if self.skip_channels else None)
        return result


class Down(nn.Module):
    """LeakyReLU(0.2), 4x4 convolution with stride 2, norm. No activation before the first, no norm on first and innermost."""

    def __init__(self, in_channels: int, out_channels: int, level: int, levels: int) -> None:
        super().__init__()
        has_norm = 0 < level < levels - 1
        self.is_first = level == 0
        self.convolution = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=not has_norm)
        self.norm = InstanceNorm(out_channels) if has_norm else None

    def forward(self, features: Tensor) -> Tensor:
        features = self.convolution(features if self.is_first else rectified(features, SLOPE))
        return features if self.norm is None else self.norm(features)


class _Up(nn.Module):
    """ReLU, doubling convolution, norm."""

    def __init__(self, in_channels: int, out_channels: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.convolution = _doubling(in_channels, out_channels, upsampling, bias=False)
        self.norm = InstanceNorm(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.norm(self.convolution(rectified(features)))
        return result


class _Last(nn.Module):
    """ReLU, doubling convolution, tanh or another activation; a linear map of the input is added where that is shown."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        skip_channels: int,
        upsampling: Upsampling,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation or nn.Tanh()
        self.convolution = _doubling(in_channels, out_channels, upsampling, bias=True)
        self.skip = nn.Conv2d(skip_channels, out_channels, 3, padding=1, bias=False) if skip_channels else None

    def forward(self, features: Tensor, image: Tensor | None) -> Tensor:
        result = self.convolution(rectified(features))
        if self.skip is not None and image is not None:
            result = result + self.skip(image)
        activated: Tensor = self.activation(result)
        return activated


class _Finish(nn.Module):
    """ReLU, doubling convolution to features, ReLU, 3x3 convolution to the image, tanh; the input joins the features."""

    def __init__(self, in_channels: int, channels: int, out_channels: int, skip_channels: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.features = _Last(in_channels, channels, skip_channels, upsampling, activation=nn.ReLU())
        self.convolution = nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, features: Tensor, image: Tensor | None) -> Tensor:
        features = self.features(features, image)  # (N, channels, H, W)
        return torch.tanh(self.convolution(features))  # (N, out_channels, H, W)


def _doubling(in_channels: int, out_channels: int, upsampling: Upsampling, *, bias: bool) -> nn.Module:
    if upsampling is Upsampling.TRANSPOSE:
        return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
    return ResizeConvolution(in_channels, out_channels, bias=bias)
