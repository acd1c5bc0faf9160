"""Differentiable augmentation of what a discriminator sees. It changes neither data sets nor what a generator is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import DiscriminatorAugment

PICTURE_CHANNELS = 3
TRANSLATION_SHARE, CUTOUT_SHARE = 1 / 8, 1 / 2


def diffaugment(images: Tensor, kinds: Sequence[DiscriminatorAugment]) -> Tensor:
    """Changes each picture in a way of its own; gradients flow through to it (Zhao et al. 2020, 3.2).

    A few hundred real pictures are learned by heart within a short run. When real and generated pictures are both changed at
    random, there is no heart to learn them by; as the generator's gradient passes through the same changes, it is not taught
    to make changed pictures.

    images: (N, C, H, W) in [-1, 1]. Beside a condition the picture is the last three channels: they alone change colour, and
    all channels move and lose a square together, so that the pair still fits. Draws come from torch's generator.
    """
    for kind in kinds:
        images = _AUGMENTS[kind](images)
    return images


def _color(images: Tensor) -> Tensor:
    """Brightness by up to a quarter of the range, saturation by a factor in [0, 2], contrast by one in [0.5, 1.5]."""
    condition, picture = images[:, :-PICTURE_CHANNELS], images[:, -PICTURE_CHANNELS:]
    picture = picture + (_uniform(picture) - 0.5)
    gray = picture.mean(dim=1, keepdim=True)
    picture = gray + (picture - gray) * (2 * _uniform(picture))
    mean = picture.mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([condition, mean + (picture - mean) * (0.5 + _uniform(picture))], dim=1)


def _translation(images: Tensor) -> Tensor:
    """Moves by up to an eighth of each side; what comes in is zero."""
    height, width = images.shape[2:]
    down, across = round(height * TRANSLATION_SHARE), round(width * TRANSLATION_SHARE)
    padded = F.pad(images, (across, across, down, down))
    tops, lefts = (torch.randint(2 * room + 1, (len(images),)).tolist() for room in (down, across))
    places = zip(padded, tops, lefts, strict=True)
    return torch.stack([image[:, top : top + height, left : left + width] for image, top, left in places])


def _cutout(images: Tensor) -> Tensor:
    """Empties a box of half the side whose centre is anywhere."""
    n, _, height, width = images.shape
    inside_y, inside_x = (_within(length, n, images.device) for length in (height, width))
    inside = inside_y[:, None, :, None] & inside_x[:, None, None, :]  # (N, 1, H, W)
    return images.masked_fill(inside, 0.0)


def _within(length: int, n: int, device: torch.device) -> Tensor:
    """Which of `length` places lie in a span of half that length around a random centre, (n, length)."""
    span = round(length * CUTOUT_SHARE)
    starts = torch.randint(length, (n, 1)) - span // 2
    offsets = torch.arange(length) - starts
    return ((offsets >= 0) & (offsets < span)).to(device)


def _uniform(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, dtype=images.dtype).to(images.device)


_AUGMENTS: dict[DiscriminatorAugment, Callable[[Tensor], Tensor]] = {
    DiscriminatorAugment.COLOR: _color,
    DiscriminatorAugment.TRANSLATION: _translation,
    DiscriminatorAugment.CUTOUT: _cutout,
}
