"""A compact edge detector with side outputs at every scale."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIDE_CHANNELS = 24


class EdgeNetwork(nn.Module):
    """Boundaries at several scales and their fusion, after HED (Xie and Tu, ICCV 2015, 3.2).

    Departures, each for a network of two megabytes that learns from 300 photos:

    - The trunk is a small residual network trained from nothing in place of VGG-16 from ImageNet, and halves by strided
      convolutions: no weights of unknown licence, a fiftieth of the arithmetic.
    - A top-down path (Lin et al., Feature Pyramid Networks, CVPR 2017, 3) lets each side output see the coarser ones, which
      know what is an object; HED's sides see only what lies below them.
    - Batch normalisation, which such a trunk needs to learn at all; runtimes fold it into the convolutions.

    image: (N, 3, H, W) in [-1, 1]; H, W multiples of `size_multiple_of`. Result: logits (N, levels + 1, H, W), the sides from
    fine to coarse, then their fusion.
    """

    def __init__(self, channels: Sequence[int] = (16, 24, 48, 80, 112), blocks: Sequence[int] = (0, 1, 2, 2, 1)) -> None:
        super().__init__()
        if len(channels) != len(blocks) or len(channels) < 2:
            raise ValueError(f"Channels {list(channels)} and blocks {list(blocks)} need one number a level each, two or more.")
        self.size_multiple_of = 2 ** (len(channels) - 1)
        incoming = (3, *channels)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *_convolution(incoming[level], channels[level], stride=1 if level == 0 else 2),
                *(ResidualBlock(channels[level]) for _ in range(blocks[level])),
            )
            for level in range(len(channels))
        )
        widths = [min(SIDE_CHANNELS, count // 2) for count in channels]
        self.laterals = nn.ModuleList(nn.Conv2d(c, w, 1, bias=False) for c, w in zip(channels, widths, strict=True))
        self.descents = nn.ModuleList(nn.Conv2d(widths[k + 1], widths[k], 1, bias=False) for k in range(len(widths) - 1))
        self.mixers = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(w), nn.ReLU(), *_convolution(w, w)) for w in widths)
        self.sides = nn.ModuleList(nn.Conv2d(w, 1, 1) for w in widths)
        self.fusion = nn.Conv2d(len(channels), 1, 1)
        self._initialize()

    def forward(self, image: Tensor) -> Tensor:
        features, x = [], image
        for stage in self.stages:
            x = stage(x)  # (N, channels[level], H / 2**level, W / 2**level)
            features.append(x)
        sides: list[Tensor] = []
        above: Tensor | None = None
        for level in reversed(range(len(features))):
            mixed = self.laterals[level](features[level])
            if above is not None:
                mixed = mixed + F.interpolate(self.descents[level](above), scale_factor=2.0, mode="nearest")
            above = self.mixers[level](mixed)
            logits = self.sides[level](above)  # (N, 1, H / 2**level, W / 2**level)
            sides.insert(0, _enlarged(logits, 2**level))
        stacked = torch.cat(sides, dim=1)  # (N, levels, H, W)
        return torch.cat([stacked, self.fusion(stacked)], dim=1)

    def _initialize(self) -> None:
        """He's normal before a ReLU; boundaries are rare, so the sides start by denying them; the fusion is their mean."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for side in self.sides:
            weight, bias = side.parameters()
            nn.init.normal_(weight, 0.0, 0.01)
            nn.init.constant_(bias, -1.0)
        weight, bias = self.fusion.parameters()
        nn.init.constant_(weight, 1 / len(self.sides))
        nn.init.zeros_(bias)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut (He et al., CVPR 2016, 3.2), (N, channels, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        second = nn.BatchNorm2d(channels)
        nn.init.zeros_(second.weight)  # a block begins as its shortcut, which a deep stack learns from quicker
        self.body = nn.Sequential(
            *_convolution(channels, channels), nn.Conv2d(channels, channels, 3, padding=1, bias=False), second
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


def fold_batch_norms(network: EdgeNetwork) -> EdgeNetwork:
    """A copy in evaluation mode whose normalisations are part of the convolutions before them, where there is one."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential):
            _fold_pairs(module)
    return folded


def _fold_pairs(layers: nn.Sequential) -> None:
    for k in range(1, len(layers)):
        before, norm = layers[k - 1], layers[k]
        if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[k - 1], layers[k] = fuse_conv_bn_eval(before, norm), nn.Identity()


def _convolution(channels_in: int, channels_out: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def _enlarged(logits: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return logits
    return F.interpolate(logits.float(), scale_factor=float(factor), mode="bilinear", align_corners=False)
