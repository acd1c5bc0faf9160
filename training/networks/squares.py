"""Wide kernels on few channels, computed over squares of pixels where networks are compiled (space-to-depth)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.compiled import is_compiled, promised

SIDE = 2
"""Of a square, in pixels."""


class WideConvolution(nn.Conv2d):
    """A convolution of stride 1 without padding and with a wide, odd kernel and few channels, such as the papers' c7s1-3.

    Processors compute 16 or 32 channels at once, so that a map of 3 leaves most of a unit idle. Taken for one pixel, a square
    of 2 x 2 has four times the channels, and a 7 x 7 kernel is one of 4 x 4 squares: a third more products, much sooner done.
    Weights are learned, kept and exported as what they are.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, kernel, bias=bias)

    def forward(self, image: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H - kernel + 1, W - kernel + 1)."""
        if not is_compiled() or any(side % SIDE for side in image.shape[2:]):
            return super().forward(image)
        bias = None if self.bias is None else self.bias.repeat(SIDE * SIDE)
        result: Tensor = from_squares(F.conv2d(to_squares(image), over_squares(self.weight), bias))
        return result


def over_squares(weight: Tensor) -> Tensor:
    """The kernel (out, in, K, K), K odd, over squares: (4 out, 4 in, (K + 1) / 2, (K + 1) / 2), ordered as `to_squares` does.

    Each pixel of a square has the kernel at its own place, and zeros beside it.
    """
    out_channels, in_channels, kernel, _ = weight.shape
    squares = (kernel + 1) // SIDE
    placed = torch.cat([F.pad(weight, (x, 1 - x, y, 1 - y)) for y in range(SIDE) for x in range(SIDE)])
    split = placed.reshape(-1, in_channels, squares, SIDE, squares, SIDE).permute(0, 2, 4, 3, 5, 1)
    return split.reshape(SIDE * SIDE * out_channels, squares, squares, -1).permute(0, 3, 1, 2)


@torch.library.custom_op("inkwash::to_squares", mutates_args=())
def to_squares(image: Tensor) -> Tensor:
    """(N, C, H, W) to (N, 4 C, H / 2, W / 2); channels are ordered by the pixel of a square, then by what they were.

    `pixel_unshuffle` orders them the other way round, which scatters numbers that lie beside each other in channels-last order
    and takes some ten times as long. Being one operator keeps the compiler from making this a part of other loops.
    """
    n, channels, height, width = image.shape
    last = image.permute(0, 2, 3, 1).contiguous()
    rows = last.reshape(n, height // SIDE, SIDE, width // SIDE, SIDE * channels)
    squares = torch.stack(rows.unbind(2), dim=3)  # (N, H / 2, W / 2, 2, 2 C)
    return squares.reshape(n, height // SIDE, width // SIDE, -1).permute(0, 3, 1, 2)


@to_squares.register_fake
def _(image: Tensor) -> Tensor:
    _, channels, height, width = image.shape
    return promised(image, channels * SIDE * SIDE, height // SIDE, width // SIDE)


@torch.library.custom_op("inkwash::from_squares", mutates_args=())
def from_squares(squares: Tensor) -> Tensor:
    """(N, 4 C, H, W) to (N, C, 2 H, 2 W), the inverse of `to_squares`."""
    n, channels, height, width = squares.shape
    last = squares.permute(0, 2, 3, 1).contiguous()
    rows = last.reshape(n, height, width, SIDE, channels // SIDE)
    image = torch.stack(rows.unbind(3), dim=2)  # (N, H, 2, W, 2 C)
    return image.reshape(n, SIDE * height, SIDE * width, -1).permute(0, 3, 1, 2)


@from_squares.register_fake
def _(squares: Tensor) -> Tensor:
    _, channels, height, width = squares.shape
    return promised(squares, channels // (SIDE * SIDE), SIDE * height, SIDE * width)


# Both only move numbers, so each moves the gradient of the other.
to_squares.register_autograd(lambda _, gradient: from_squares(gradient))
from_squares.register_autograd(lambda _, gradient: to_squares(gradient))
