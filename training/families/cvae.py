"""Conditional variational autoencoder: the baseline beside the conditional invertible network (Ardizzone et al. 2020, 4).

It has the same condition network over the same chroma; in place of the flow stand an encoder and a decoder of as many weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.colorspace import luma_of, shrink
from training.config import CvaeConfig, TrainConfig
from training.descent import Objective
from training.encoding import decode_picture, encode_picture
from training.families.averaged import Averaged
from training.families.chroma import (
    ServedSampler,
    chroma_of,
    condition_network,
    guess_loss,
    own_names,
    picture_of,
    require_dividing,
    temperature,
)
from training.families.protocol import Batch, DataForm, Exportable, LatentSpec
from training.networks.vae import LatentDecoder, PosteriorNetwork, condition_sides, gaussian_nll, kl_to_standard_normal
from training.source import SourceSpec

CHROMA_CHANNELS = 2
BOUND_DRAWS = 4
"""Latents over which the bound of a picture is averaged."""


class ConditionalAutoencoder:
    """Condition network, encoder and decoder, trained jointly, and their running average, which is what is served.

    Batches hold `source` (N, 1, H, W), the photo's luma, and `target` (N, 3, H, W), the photo in RGB, both in [-1, 1].
    """

    data_form: ClassVar[DataForm] = "paired"
    sections: ClassVar[tuple[str, ...]] = ("cvae",)

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        self._options, self._fabric, self._source = config.cvae, fabric, source
        self._learner = Averaged(CvaeNetwork(config, source), config, config.cvae, fabric)
        self._average = self._learner.average

    @property
    def networks(self) -> nn.ModuleDict:
        return self._learner.networks

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._learner.optimizers

    def step(self, *batches: Batch) -> dict[str, float]:
        """One step down reconstruction and divergence."""
        return self._learner.step(batches, self._objective)

    def _objective(self, batch: Batch) -> Objective:
        values = self._average.values_of(batch["target"])
        noise = self._options.noise * torch.randn(len(values), self._average.latent_size, device=values.device)
        reconstruction, kl, guesses = self._learner.network(values, batch["source"], noise)
        losses = {"reconstruction": reconstruction.mean(), "kl": kl.mean(), "guess": guess_loss(guesses, values)}
        # L = -log p(x | z, c) / D  +  beta * KL(q(z | x, c) || N(0, 1)) / D  +  lambda_guess * guess
        weighted = losses["reconstruction"] + self._options.beta * losses["kl"] + self._options.lambda_guess * losses["guess"]
        return weighted, losses

    @torch.no_grad()
    def preview(self, batch: Batch) -> Tensor:
        """One sample of each at the default temperature, uint8 (N, H, W, 3)."""
        source = batch["source"]
        latent = torch.randn(len(source), self._average.latent_size, device=source.device) * self._options.temperature
        with self._fabric.autocast():
            return decode_picture(self._average.sample(latent, source))

    @torch.no_grad()
    def likelihood_bound(self, batch: Batch) -> Tensor:
        """Negative evidence lower bound of each target under the average, nats per dimension, (N,): no autocast.

        It is at least the negative log-likelihood. Latents are drawn alike each time.
        """
        values = self._average.values_of(batch["target"])
        generator = torch.Generator().manual_seed(0)
        bounds = []
        for _ in range(BOUND_DRAWS):
            noise = torch.randn(len(values), self._average.latent_size, generator=generator).to(values.device)
            reconstruction, kl, _ = self._average(values, batch["source"], noise)
            bounds.append(reconstruction + kl)
        return torch.stack(bounds).mean(dim=0)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """The served weights of an exported model of this family, or the encoder of an exported colouriser."""
        own = own_names(weights)
        if not own.keys() & self._average.state_dict().keys():
            raise ValueError("It is neither a model of family 'cvae' nor one with a U-Net whose encoder could be taken over.")
        self._learner.start_from(own)

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        network, default = self._learner.served(averaged=averaged), self._options.temperature
        return {
            "": Exportable(
                ServedSampler(network, self._source),
                tuple(spec.name for spec in self._source.inputs),
                latent=LatentSpec(shape=(network.latent_size,), distribution="normal"),
                compose="chroma",
                parameters=(temperature(default),),
                encoder=PosteriorMean(network, default),
            )
        }


class CvaeNetwork(nn.Module):
    """Condition network, encoder and decoder as one, from batches as they are to the bound's parts, and from a latent back."""

    def __init__(self, config: TrainConfig, source: SourceSpec) -> None:
        super().__init__()
        options, size = config.cvae, config.augment.image_size
        _require_fitting(options, source, size)
        self._factor, self._condition_factor = options.shrink, options.condition_shrink
        self.latent_size, side = options.latent_size, size // options.shrink
        sides = condition_sides(side, len(options.channels))
        shapes = (side, options.channels, options.latent_size, options.map_channels, options.vector_channels)
        self.posterior = PosteriorNetwork(CHROMA_CHANNELS, *shapes)
        self.decoder = LatentDecoder(CHROMA_CHANNELS, *shapes)
        self.condition = condition_network(options, source, size, sides)
        self.guesses = nn.ModuleList(nn.Conv2d(options.map_channels, CHROMA_CHANNELS, 1) for _ in sides)
        self.log_scale = nn.Parameter(torch.zeros(CHROMA_CHANNELS, 1, 1))

    def forward(self, values: Tensor, source: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Both parts of the negative evidence lower bound, nats per dimension, (N,), and the condition network's guesses.

        Args:
            values: (N, 2, s, s), as `values_of` gives them.
            source: (N, 1, H, W).
            noise: (N, latent_size), standard normal.
        """
        maps, vector = self.condition(shrink(source, self._condition_factor))
        mean, log_variance = self.posterior(values, maps, vector)
        decoded = self.decoder(mean + torch.exp(0.5 * log_variance) * noise, maps, vector).float()
        reconstruction = gaussian_nll(values, decoded, self.log_scale.float()).mean(dim=(1, 2, 3))
        kl = kl_to_standard_normal(mean, log_variance) / values[0].numel()
        return reconstruction, kl, [guess(level) for guess, level in zip(self.guesses, maps, strict=True)]

    def values_of(self, target: Tensor) -> Tensor:
        """What is modelled of a target (N, 3, H, W): (N, 2, s, s), about 1 in size."""
        return chroma_of(target, self._factor)

    def sample(self, latent: Tensor, source: Tensor) -> Tensor:
        """The picture of a latent, at the source's size: RGB (N, 3, H, W) in [-1, 1]. The scale is noise, and left out."""
        maps, vector = self.condition(shrink(source, self._condition_factor))
        return picture_of(self.decoder(latent, maps, vector), source)

    def latent_of(self, picture: Tensor) -> Tensor:
        """The posterior's mean of an RGB picture (N, 3, H, W): (N, latent_size)."""
        maps, vector = self.condition(shrink(luma_of(picture), self._condition_factor))
        mean: Tensor = self.posterior(self.values_of(picture), maps, vector)[0]
        return mean


class PosteriorMean(nn.Module):
    """The second served graph: a photo in colour to the latent that gives its colours, nearly, at the default temperature."""

    def __init__(self, network: CvaeNetwork, temperature: float) -> None:
        super().__init__()
        self.network = network
        self._temperature = temperature

    def forward(self, style: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to (N, latent_size)."""
        return self.network.latent_of(encode_picture(style)) / self._temperature


def _require_fitting(options: CvaeConfig, source: SourceSpec, size: int) -> None:
    if source.kind != "gray" or source.others:
        raise ValueError(
            f"Family 'cvae' colours gray photos, but the data set's input is '{source.kind}'"
            f"{' beside others' if source.others else ''}; prepare a gray set such as 'photos'."
        )
    require_dividing(options, "cvae", size)
