"""What a conditional flow is told of its condition: maps at several scales, and a vector of the whole."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.unet import Down

ENCODER_DEPTH = 6
"""Of the U-Net whose first levels the encoder has, so that their weights fit."""
TAIL_CHANNELS = 64
"""Of the maps below the encoder, where a U-Net's many channels would be most of the weights."""
BOTTOM_CHANNELS = 32
"""Of the smallest map, all of which goes into the vector."""


class ConditionNetwork(nn.Module):
    """A pyramid: the encoder of a U-Net downwards, then sums upwards, so that each map knows its place and the whole.

    It is trained jointly with the flow. Its encoder has the shapes of a colouriser's generator and can start from its weights.

    Args:
        in_channels: Of the condition.
        side: Of the condition; each level halves it.
        sides: Of the maps, finest first; each half of the one before.
        encoder_levels: Levels that are those of a U-Net; narrow ones follow where the maps go further down.
    """

    def __init__(
        self,
        in_channels: int,
        side: int,
        sides: list[int],
        *,
        base_channels: int,
        max_channels: int,
        encoder_levels: int,
        map_channels: int,
        vector_channels: int,
    ) -> None:
        super().__init__()
        reached = [side // 2 ** (level + 1) for level in range(side.bit_length())]
        if sides[0] not in reached:
            raise ValueError(
                f"A condition of {side} pixels gives no map of {sides[0]} pixels; it must be larger by a power of 2."
            )
        depth, self.first = reached.index(sides[-1]) + 1, reached.index(sides[0])
        wide = min(depth, encoder_levels)
        channels = [min(base_channels * 2**level, max_channels) for level in range(wide)]
        self.encoder = nn.ModuleList(
            Down(in_channels if level == 0 else channels[level - 1], channels[level], level, max(ENCODER_DEPTH, wide + 1))
            for level in range(wide)
        )
        channels += [TAIL_CHANNELS] * (depth - wide)
        self.tail = nn.ModuleList(_halving(channels[level - 1], channels[level]) for level in range(wide, depth))
        self.bottom = _halving(channels[-1], BOTTOM_CHANNELS)
        self.to_vector = nn.Linear(BOTTOM_CHANNELS * (sides[-1] // 2) ** 2, vector_channels)
        inner = channels[self.first :]
        self.from_bottom = nn.Conv2d(BOTTOM_CHANNELS, map_channels, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(count, map_channels, 1) for count in inner)
        self.smooth = nn.ModuleList(nn.Conv2d(map_channels, map_channels, 3, padding=1) for _ in inner)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, condition: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, in_channels, side, side) to maps (N, map_channels, s, s), finest first, and a vector (N, vector_channels)."""
        features, levels = condition, []
        for down in self.encoder:
            features = down(features)
            levels.append(features)
        for halving in self.tail:
            features = halving(self.activation(features))
            levels.append(features)
        bottom = self.activation(self.bottom(self.activation(features)))
        # Not pooled: whoever paints the coarsest colours must know what lies where.
        vector = self.activation(self.to_vector(bottom.flatten(1)))
        above, maps = self.from_bottom(bottom), []
        for lateral, smooth, level in zip(
            reversed(self.lateral), reversed(self.smooth), reversed(levels[self.first :]), strict=True
        ):
            above = lateral(self.activation(level)) + F.interpolate(above, scale_factor=2.0, mode="nearest")
            maps.append(self.activation(smooth(self.activation(above))))
        return maps[::-1], vector


def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
