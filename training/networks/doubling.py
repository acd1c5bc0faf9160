"""Twice the resolution by nearest neighbour and a convolution, computed the quick way."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.compiled import is_compiled


class ResizeConvolution(nn.Sequential):
    """Nearest neighbour, then a 3x3 convolution: (N, in, H, W) -> (N, out, 2H, 2W). No checkerboard (Odena et al. 2016).

    Each pair of enlarged pixels holds one value twice, so the taps that fall on it can be added up beforehand. What results is
    a 4x4 transposed convolution with stride 2: 4 products for each result in place of 9, and the enlarged map is never
    written. Weights are learned, kept and exported as the 3x3 kernel; runtimes fold the sums when they load a graph.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        super().__init__(nn.Upsample(scale_factor=2, mode="nearest"), convolution)

    def forward(self, features: Tensor) -> Tensor:
        convolution: nn.Conv2d = self[1]  # type: ignore[assignment]
        weight = convolution.weight
        if weight.is_contiguous(memory_format=torch.channels_last) and not is_compiled():  # a compiler chooses for itself
            features = features.contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(features, folded(weight), convolution.bias, stride=2, padding=1)

    def plain(self) -> nn.Sequential:
        """The same as two operators, one after the other."""
        return nn.Sequential(*self)


def folded(weight: Tensor) -> Tensor:
    """The transposed kernel (in, out, 4, 4) of a 3x3 kernel (out, in, 3, 3) behind a doubling by nearest neighbour.

    Along one side: result 2i takes x[i-1] w0 + x[i] (w1 + w2), and result 2i+1 takes x[i] (w0 + w1) + x[i+1] w2; a transposed
    convolution with padding 1 reads its taps 3, 1 and 2, 0 there.
    """
    return _folded_along(_folded_along(weight, 2), 3).transpose(0, 1)


def _folded_along(weight: Tensor, dim: int) -> Tensor:
    first, middle, last = weight.unbind(dim)
    return torch.stack([last, middle + last, first + middle, first], dim)
