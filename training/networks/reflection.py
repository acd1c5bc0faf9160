"""Reflection padding whose gradient is quick in compiled networks.

PyTorch's compiler writes one loop for all that lies between two convolutions, and in it gathers the gradient of every pixel
under nine conditions, since a border pixel was seen up to four times. Only the border needs that: the operator here, which the
compiler leaves as it is, folds four strips.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.compiled import is_compiled, promised


class ReflectionPad(nn.ReflectionPad2d):
    """Mirrors as many pixels at every side, (N, C, H, W) to (N, C, H + 2 side, W + 2 side)."""

    def __init__(self, side: int) -> None:
        super().__init__(side)

    def forward(self, image: Tensor) -> Tensor:
        return mirror(image, self.padding[0]) if is_compiled() else super().forward(image)


@torch.library.custom_op("inkwash::mirror", mutates_args=())
def mirror(image: Tensor, side: int) -> Tensor:
    """Reflection padding of `side` pixels, in channels-last order."""
    image = image.contiguous(memory_format=torch.channels_last)
    return F.pad(image, (side, side, side, side), mode="reflect")


@mirror.register_fake
def _(image: Tensor, side: int) -> Tensor:
    _, channels, height, width = image.shape
    return promised(image, channels, height + 2 * side, width + 2 * side)


@torch.library.custom_op("inkwash::fold_mirrored", mutates_args=())
def fold_mirrored(gradient: Tensor, side: int) -> Tensor:
    """The gradient of `mirror`: what arrived at mirrored pixels is added to those that they mirror."""
    height, width = gradient.shape[2] - 2 * side, gradient.shape[3] - 2 * side
    rows = gradient[:, :, side:-side].clone()
    rows[:, :, 1 : side + 1] += gradient[:, :, :side].flip(2)
    rows[:, :, height - 1 - side : height - 1] += gradient[:, :, -side:].flip(2)
    folded = rows[:, :, :, side:-side].contiguous(memory_format=torch.channels_last)
    folded[:, :, :, 1 : side + 1] += rows[:, :, :, :side].flip(3)
    folded[:, :, :, width - 1 - side : width - 1] += rows[:, :, :, -side:].flip(3)
    return folded


@fold_mirrored.register_fake
def _(gradient: Tensor, side: int) -> Tensor:
    _, channels, height, width = gradient.shape
    return promised(gradient, channels, height - 2 * side, width - 2 * side)


def _keep_side(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
    ctx.side = (output.shape[2] - inputs[0].shape[2]) // 2


def _gradient(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    return fold_mirrored(gradient, ctx.side), None


mirror.register_autograd(_gradient, setup_context=_keep_side)
