"""Conditional invertible network: many colourings of one photo, by exact likelihood (Ardizzone et al. 2019; GCPR 2020).

A flow maps colour to a Gaussian latent and back, given the photo's light. It is trained by maximum likelihood alone: there is
no discriminator, and nothing to balance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.colorspace import luma_of, shrink
from training.config import CinnConfig, FlowTarget, TrainConfig
from training.descent import Objective
from training.encoding import decode_picture, encode_inputs, encode_picture
from training.families.averaged import Averaged
from training.families.chroma import (
    chroma_of,
    condition_network,
    guess_loss,
    own_names,
    picture_of,
    require_dividing,
    temperature,
)
from training.families.protocol import Batch, DataForm, Exportable, LatentSpec, ParameterSpec
from training.networks.flow import ConditionalFlow, FlowLevel
from training.source import SourceSpec


class ConditionalInvertible:
    """Condition network and flow, trained jointly, and their running average, which is what is served.

    Batches hold `source` (N, condition_channels, H, W) and `target` (N, 1 or 3, H, W), both in [-1, 1]. What the flow models is
    `[cinn] target`: the photo's chroma at a fraction of its size, under the luma that is its source, or the whole target.
    """

    data_form: ClassVar[DataForm] = "paired"
    sections: ClassVar[tuple[str, ...]] = ("cinn",)

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        self._options, self._fabric, self._source = config.cinn, fabric, source
        self._learner = Averaged(CinnNetwork(config, source), config, config.cinn, fabric)
        self._average = self._learner.average

    @property
    def networks(self) -> nn.ModuleDict:
        return self._learner.networks

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._learner.optimizers

    def step(self, *batches: Batch) -> dict[str, float]:
        """One step down the negative log-likelihood."""
        return self._learner.step(batches, self._objective)

    def _objective(self, batch: Batch) -> Objective:
        values = self._average.values_of(batch["target"])
        noisy = values + self._options.noise * torch.randn_like(values)
        latent, log_det, guesses = self._learner.network(noisy, batch["source"])
        losses = likelihood_losses(latent, log_det)
        weight = self._options.lambda_guess
        if not weight:
            return losses["nll"], losses
        losses["guess"] = guess_loss(guesses, values)
        return losses["nll"] + weight * losses["guess"], losses

    @torch.no_grad()
    def preview(self, batch: Batch) -> Tensor:
        """One sample of each at the default temperatures, uint8 (N, H, W, C)."""
        source, options = batch["source"], self._options
        latent = torch.randn(len(source), self._average.latent_size, device=source.device) * options.temperature
        latent = self._average.with_scaled_detail(latent, options.detail_temperature)
        with self._fabric.autocast():
            picture = self._average.sample(latent, source)
        return decode_picture(picture)

    @torch.no_grad()
    def likelihood(self, batch: Batch) -> Tensor:
        """Negative log-likelihood of each target under the average, nats per dimension, (N,): no noise, no autocast."""
        latent, log_det, _ = self._average(self._average.values_of(batch["target"]), batch["source"])
        return negative_log_likelihood(latent, log_det)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """All weights of an exported model of this family, or the encoder of an exported colouriser."""
        own = _as_own(weights)
        _require_permutations(own, self._average)
        if not own.keys() & self._average.state_dict().keys():
            raise ValueError("It is neither a model of family 'cinn' nor one with a U-Net whose encoder could be taken over.")
        self._learner.start_from(own)

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        network, options = self._learner.served(averaged=averaged), self._options
        return {
            "": Exportable(
                ServedFlow(network, self._source),
                tuple(spec.name for spec in self._source.inputs),
                latent=LatentSpec(shape=(network.latent_size,), distribution="normal"),
                compose="chroma" if network.is_chroma else "replace",
                parameters=(temperature(options.temperature), detail_temperature(options.detail_temperature)),
                encoder=StyleEncoder(network, options) if network.is_chroma else None,
            )
        }


def _as_own(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of an exported graph under the names that they have in a `CinnNetwork`."""
    own = own_names(weights)
    for name in [name for name in own if name.endswith(".perm_inv")]:  # the graph goes one way and holds that way's alone
        own[name] = own[name].long()
        own[name.removesuffix("_inv")] = own[name].argsort()
    return own


def _require_permutations(own: Mapping[str, Tensor], network: nn.Module) -> None:
    """Raises ValueError where a graph holds a flow but not all of its permutations: an exporter may merge equal ones."""
    if not any(name.startswith("flow.") for name in own):
        return
    missing = [name for name, _ in network.named_buffers() if name.endswith(".perm_inv") and name not in own]
    if missing:
        raise ValueError(f"The graph lacks the permutation '{missing[0]}'; start from the checkpoint of its run.")


def negative_log_likelihood(latent: Tensor, log_det: Tensor) -> Tensor:
    """Of each picture, nats per dimension, (N,): -log p(x | c) / D with p(z) = N(0, 1) (section 3.2)."""
    return (0.5 * latent.float().square() + 0.5 * math.log(2 * math.pi)).mean(dim=1) - log_det.float() / latent.shape[1]


def likelihood_losses(latent: Tensor, log_det: Tensor) -> dict[str, Tensor]:
    """The loss and the two parts that it weighs against each other: a small latent, and little squeezing."""
    return {
        "nll": negative_log_likelihood(latent, log_det).mean(),
        "latent_square": latent.float().square().mean(),
        "log_det": log_det.float().mean() / latent.shape[1],
    }


class CinnNetwork(nn.Module):
    """Flow and condition network as one, from batches as they are to the latent and back."""

    def __init__(self, config: TrainConfig, source: SourceSpec) -> None:
        super().__init__()
        options, size = config.cinn, config.augment.image_size
        self.is_chroma = options.target is FlowTarget.CHROMA
        _require_fitting(options, source, size)
        self._factor, self._condition_factor = options.shrink, options.condition_shrink
        levels = [FlowLevel(*numbers) for numbers in zip(options.couplings, options.hidden, options.keep, strict=True)]
        self.flow = ConditionalFlow(
            2 if self.is_chroma else options.target_channels,
            size // options.shrink,
            levels,
            dense=FlowLevel(options.dense_couplings, options.dense_hidden, options.dense_keep),
            condition_channels=options.map_channels,
            vector_channels=options.vector_channels,
            clamp=options.clamp,
            seed=config.seed,
        )
        self.condition = condition_network(options, source, size, self.flow.sides)
        self.guesses = nn.ModuleList(nn.Conv2d(options.map_channels, self.flow.channels, 1) for _ in levels)
        self.latent_size = self.flow.latent_size

    def forward(self, values: Tensor, source: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """What the flow models (N, c, s, s), and the source (N, condition_channels, H, W), to latent and log |det J|.

        And to the guesses of the condition network, one a scale, for training.
        """
        maps, vector = self.condition(shrink(source, self._condition_factor))
        latent, log_det = self.flow(values, maps, vector)
        return latent, log_det, [guess(level) for guess, level in zip(self.guesses, maps, strict=True)]

    def values_of(self, target: Tensor) -> Tensor:
        """What the flow models of a target (N, 1 or 3, H, W): (N, c, s, s), about 1 in size."""
        if not self.is_chroma:
            return shrink(target.float(), self._factor)
        return chroma_of(target, self._factor)

    def with_scaled_detail(self, latent: Tensor, scale: Tensor | float) -> Tensor:
        """All but the coarsest part of a latent (N, latent_size) times `scale`."""
        fine = self.latent_size - self.flow.coarse_size
        return torch.cat([latent[:, :fine] * scale, latent[:, fine:]], dim=1)

    def sample(self, latent: Tensor, source: Tensor) -> Tensor:
        """The picture of a latent, at the source's size where it is chroma: (N, 1 or 3, H, W) in [-1, 1]."""
        maps, vector = self.condition(shrink(source, self._condition_factor))
        values = self.flow.inverse(latent, maps, vector).float()
        return picture_of(values, source) if self.is_chroma else values


def _require_fitting(options: CinnConfig, source: SourceSpec, size: int) -> None:
    if options.target is FlowTarget.CHROMA and (source.kind != "gray" or source.others):
        raise ValueError(
            f"Config key 'cinn.target' is 'chroma', which goes under a gray photo, but the data set's input is '{source.kind}'"
            f"{' beside others' if source.others else ''}; set it to 'picture'."
        )
    if options.target is FlowTarget.PICTURE and options.shrink != 1:
        raise ValueError(
            f"Config key 'cinn.shrink' is {options.shrink}; whole pictures are modelled at their own size, set it to 1."
        )
    require_dividing(options, "cinn", size)


def detail_temperature(default: float) -> ParameterSpec:
    """What all of the latent but its coarsest part is multiplied by, on top."""
    return ParameterSpec(
        name="detail_temperature",
        min=0.0,
        max=1.2,
        step=0.05,
        default=default,
        title={"en": "Detail", "ja": "細部の変化"},
        help={
            "en": "How much chance has a say in small things. Low gives calm surfaces, 1 all that was learned.",
            "ja": "細かい部分のばらつき。小さいほど面がなめらかに、1 で学習したままの変化になります。",
        },
    )


class ServedFlow(nn.Module):
    """The served graph: inputs in bytes, a latent and two temperatures to a picture in bytes."""

    def __init__(self, network: CinnNetwork, source: SourceSpec) -> None:
        super().__init__()
        self.network = network
        self._source = source

    def forward(self, *given: Tensor) -> Tensor:
        """Images uint8 (N, H, W, C), latent (N, latent_size), temperatures (N, 1). Result: uint8 (N, H, W, 1 or 3)."""
        *images, latent, overall, detail = given
        scaled = self.network.with_scaled_detail(latent * overall, detail)
        return decode_picture(self.network.sample(scaled, encode_inputs(images, self._source)))


class StyleEncoder(nn.Module):
    """The second served graph: a photo in colour to the latent that gives its colours back at the default temperatures."""

    def __init__(self, network: CinnNetwork, options: CinnConfig) -> None:
        super().__init__()
        self.network = network
        self._temperature, self._detail = options.temperature, options.detail_temperature

    def forward(self, style: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to (N, latent_size)."""
        picture = encode_picture(style)
        latent, _, _ = self.network(self.network.values_of(picture), luma_of(picture))
        return self.network.with_scaled_detail(latent / self._temperature, 1 / self._detail)
