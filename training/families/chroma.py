"""What families that draw many colourings of one gray photo share: the chroma they model, what they are told, what is served.

It knows no way of drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.colorspace import rgb_to_ycbcr, shrink, ycbcr_to_rgb
from training.config import SamplerConfig
from training.encoding import decode_picture, encode_inputs
from training.families.protocol import ParameterSpec
from training.guided import guided_upsample
from training.networks.conditioning import ConditionNetwork
from training.source import SourceSpec

CHROMA_SCALE = 0.16
"""Standard deviation of Cb and Cr in photos, of [-1, 1]: networks see values around 1, which noise is measured against."""


def chroma_of(target: Tensor, factor: int) -> Tensor:
    """Cb and Cr of RGB pictures (N, 3, H, W), smaller by `factor` and about 1 in size: (N, 2, H / factor, W / factor)."""
    return shrink(rgb_to_ycbcr(target)[:, 1:], factor) / CHROMA_SCALE


def picture_of(values: Tensor, luma: Tensor) -> Tensor:
    """The picture of such values under `luma` (N, 1, H, W): RGB (N, 3, H, W) in [-1, 1]."""
    chroma = guided_upsample(values.float() * CHROMA_SCALE, luma)
    return ycbcr_to_rgb(torch.cat([luma, chroma], dim=1))


def condition_network(options: SamplerConfig, source: SourceSpec, image_size: int, sides: list[int]) -> ConditionNetwork:
    """The network that says what is to be seen in a photo of `image_size`, with maps of `sides`."""
    return ConditionNetwork(
        source.condition_channels,
        image_size // options.condition_shrink,
        sides,
        base_channels=options.base_channels,
        max_channels=options.max_channels,
        encoder_levels=options.encoder_levels,
        map_channels=options.map_channels,
        vector_channels=options.vector_channels,
    )


def require_dividing(options: SamplerConfig, section: str, image_size: int) -> None:
    """Raises ValueError for a size that no whole number of squares fills."""
    for name, factor in (("shrink", options.shrink), ("condition_shrink", options.condition_shrink)):
        if image_size % factor:
            raise ValueError(
                f"Config key '{section}.{name}' is {factor}, which does not divide augment.image_size {image_size}."
            )


def guess_loss(guesses: Sequence[Tensor], values: Tensor) -> Tensor:
    """Mean squared error of guesses (N, c, s, s) of the values (N, c, S, S), averaged over scales.

    Likelihood is mostly about fine detail, and what a thing is tells little of it; the papers therefore let a network learn
    colours before it conditions a flow. Here it learns both at once.
    """
    errors = [F.mse_loss(guess.float(), F.adaptive_avg_pool2d(values, guess.shape[-1])) for guess in guesses]
    return torch.stack(errors).mean()


def own_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of an exported graph under the names that they have in a network with a condition network.

    Of a colouriser that is the encoder of its U-Net, of a graph of the same family all that it holds.
    """
    own = {}
    for name, weight in weights.items():
        if name.startswith("generator.encoder."):
            own[name.replace("generator.", "condition.", 1)] = weight
        elif name.startswith("network."):
            own[name.removeprefix("network.")] = weight
    return own


def temperature(default: float) -> ParameterSpec:
    """What the latent is multiplied by."""
    return ParameterSpec(
        name="temperature",
        min=0.0,
        max=1.2,
        step=0.05,
        default=default,
        title={"en": "Temperature", "ja": "温度"},
        help={
            "en": "0 is the calm middle of all answers; higher is bolder.",
            "ja": "0 は落ち着いた平均的な色、大きいほど大胆な色になります。",
        },
    )


class Sampler(Protocol):
    """A network from a latent, and a photo, to a picture in [-1, 1]."""

    def sample(self, latent: Tensor, source: Tensor) -> Tensor: ...


class ServedSampler(nn.Module):
    """The served graph: inputs in bytes, a latent and a temperature to a picture in bytes."""

    def __init__(self, network: Sampler, source: SourceSpec) -> None:
        super().__init__()
        self.network = network
        self._source = source

    def forward(self, *given: Tensor) -> Tensor:
        """Images uint8 (N, H, W, C), latent (N, latent_size), temperature (N, 1). Result: uint8 (N, H, W, 1 or 3)."""
        *images, latent, temperature = given
        return decode_picture(self.network.sample(latent * temperature, encode_inputs(images, self._source)))
