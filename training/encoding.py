"""Between bytes and what networks see. Training and the exported graph share these functions, so that they cannot disagree.

Pictures are uint8 (N, H, W, C) outside and float32 (N, C, H, W) inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from training.source import SourceSpec


def encode_picture(image_u8: Tensor) -> Tensor:
    """Gray or RGB bytes to [-1, 1]."""
    return image_u8.permute(0, 3, 1, 2).float() / 127.5 - 1.0  # (N, C, H, W)


def encode_labels(labels_u8: Tensor, classes: int) -> Tensor:
    """Class indices (N, H, W, 1) to one channel a class, 0 or 1. An index outside the palette lights no channel."""
    indices = torch.arange(classes, device=labels_u8.device, dtype=torch.int32).reshape(1, classes, 1, 1)
    return (labels_u8.permute(0, 3, 1, 2).to(torch.int32) == indices).float()  # (N, classes, H, W)


def encode_inputs(images_u8: Sequence[Tensor], source: SourceSpec) -> Tensor:
    """All inputs of a source, each uint8 (N, H, W, C), laid on one another: (N, condition_channels, H, W)."""
    encoded = [
        encode_labels(image, spec.classes) if spec.kind == "labels" else encode_picture(image)
        for image, spec in zip(images_u8, source.inputs, strict=True)
    ]
    return torch.cat(encoded, dim=1) if len(encoded) > 1 else encoded[0]


def encode_hints(hints_u8: Tensor) -> Tensor:
    """RGBA bytes (N, H, W, 4) to colour in [-1, 1] times coverage, and coverage in [0, 1]: zero where nothing is hinted."""
    values = hints_u8.permute(0, 3, 1, 2).float()
    coverage = values[:, 3:] / 255.0
    return torch.cat([(values[:, :3] / 127.5 - 1.0) * coverage, coverage], dim=1)  # (N, 4, H, W)


def decode_picture(image: Tensor) -> Tensor:
    """[-1, 1] to bytes, rounded to the nearest: (N, C, H, W) to uint8 (N, H, W, C)."""
    steps = torch.clamp((image.float() + 1.0) * 127.5, 0.0, 255.0)
    return torch.round(steps).to(torch.uint8).permute(0, 2, 3, 1)


def labels_to_one_hot(labels: Tensor, classes: int) -> Tensor:
    """Float class indices (N, 1, H, W), as resampled by nearest neighbour, to one channel a class."""
    return F.one_hot(labels[:, 0].round().long().clamp(0, classes - 1), classes).permute(0, 3, 1, 2).float()
