"""Rectifiers, written so that compiled networks keep no mask of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.networks.compiled import is_compiled


def rectified(features: Tensor, slope: float = 0.0) -> Tensor:
    """max(x, slope * x): ReLU, or LeakyReLU where there is a slope.

    For its gradient the compiler would keep which values were positive, and the code that writes those bytes takes as long as a
    convolution. With |x| in its place, whose gradient is sign(x), there is nothing of that kind to keep.
    """
    if is_compiled():
        return (1 + slope) / 2 * features + (1 - slope) / 2 * features.abs()
    return F.leaky_relu(features, slope) if slope else torch.relu(features)
