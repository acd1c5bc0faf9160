"""Encoder and decoder of a conditional variational autoencoder over small pictures (Kingma and Welling 2014; Sohn et al. 2015).

Both are told the condition by maps at several scales and by a vector, as a conditional flow is (`conditioning.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOG_VARIANCE_LIMIT = 12.0


def condition_sides(side: int, levels: int) -> list[int]:
    """Sides of the condition's maps, finest first.

    Raises:
        ValueError: The side cannot be halved once more often than there are levels.
    """
    step = 2 ** (levels + 1)
    if side % step:
        raise ValueError(f"The autoencoder has {side} pixels a side; with {levels} levels it must be a multiple of {step}.")
    return [side // 2 ** (level + 1) for level in range(levels)]


class PosteriorNetwork(nn.Module):
    """q(z | x, c): values and condition to mean and log variance of the latent.

    There is no normalisation: the mean of a channel is what a colour cast is.

    Args:
        channels: A level each, at half the side of the one before.
    """

    def __init__(
        self, in_channels: int, side: int, channels: Sequence[int], latent_size: int, map_channels: int, vector_channels: int
    ) -> None:
        super().__init__()
        widths = [in_channels, *channels]
        self.downs = nn.ModuleList(nn.Conv2d(widths[k], widths[k + 1], 4, stride=2, padding=1) for k in range(len(channels)))
        self.mixes = nn.ModuleList(nn.Conv2d(count + map_channels, count, 3, padding=1) for count in channels)
        self.bottom = nn.Conv2d(channels[-1], channels[-1], 4, stride=2, padding=1)
        bottom_side = side // 2 ** (len(channels) + 1)
        self.to_latent = nn.Linear(channels[-1] * bottom_side**2 + vector_channels, 2 * latent_size)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, values: Tensor, maps: Sequence[Tensor], vector: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in_channels, side, side) to mean and log variance, (N, latent_size) both."""
        features = values
        for down, mix, level in zip(self.downs, self.mixes, maps, strict=True):
            features = self.activation(down(features))  # (N, c, s / 2, s / 2)
            features = self.activation(mix(torch.cat([features, level], dim=1)))
        flat = self.activation(self.bottom(features)).flatten(1)
        mean, log_variance = self.to_latent(torch.cat([flat, vector], dim=1)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)


class LatentDecoder(nn.Module):
    """The mean of p(x | z, c): latent and condition to values."""

    def __init__(
        self, out_channels: int, side: int, channels: Sequence[int], latent_size: int, map_channels: int, vector_channels: int
    ) -> None:
        super().__init__()
        self.bottom_side = side // 2 ** (len(channels) + 1)
        self.from_latent = nn.Linear(latent_size + vector_channels, channels[-1] * self.bottom_side**2)
        widths = [channels[-1], *reversed(channels)]
        self.mixes = nn.ModuleList(
            nn.Conv2d(widths[k] + map_channels, widths[k + 1], 3, padding=1) for k in range(len(channels))
        )
        self.smooths = nn.ModuleList(nn.Conv2d(count, count, 3, padding=1) for count in widths[1:])
        self.last = nn.Sequential(
            nn.Conv2d(channels[0], channels[0], 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels[0], out_channels, 3, padding=1),
        )
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, latent: Tensor, maps: Sequence[Tensor], vector: Tensor) -> Tensor:
        """(N, latent_size) to (N, out_channels, side, side)."""
        features = self.activation(self.from_latent(torch.cat([latent, vector], dim=1)))
        features = features.unflatten(1, (-1, self.bottom_side, self.bottom_side))
        for mix, smooth, level in zip(self.mixes, self.smooths, reversed(maps), strict=True):
            features = self.activation(mix(torch.cat([_doubled(features), level], dim=1)))
            features = features + self.activation(smooth(features))
        result: Tensor = self.last(_doubled(features))
        return result


def gaussian_nll(values: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """-log N(values; mean, exp(log_scale)), nats, of every number."""
    return 0.5 * ((values - mean) * torch.exp(-log_scale)).square() + log_scale + 0.5 * math.log(2 * math.pi)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each row, nats: (N, K) to (N,)."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="nearest")
