"""Conditional invertible network: many colourings of one photo, by exact likelihood (Ardizzone et al. 2019; GCPR 2020).

A flow maps colour to a Gaussian latent and back, given the photo's light. It is trained by maximum likelihood alone: there is
no discriminator, and nothing to balance.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from training.colorspace import luma_of, rgb_to_ycbcr, shrink, ycbcr_to_rgb
from training.config import CinnConfig, FlowTarget, TrainConfig
from training.descent import Descent, Objective
from training.encoding import decode_picture, encode_inputs, encode_picture
from training.families.protocol import Batch, DataForm, Exportable, LatentSpec, ParameterSpec
from training.guided import guided_upsample
from training.networks.average import averaged_copy, update_average
from training.networks.conditioning import ConditionNetwork
from training.networks.flow import ConditionalFlow, FlowLevel
from training.source import SourceSpec

CHROMA_SCALE = 0.16
"""Standard deviation of Cb and Cr in photos, of [-1, 1]: the flow sees values around 1, which its noise is measured against."""


class ConditionalInvertible:
    """Condition network and flow, trained jointly, and their running average, which is what is served.

    Batches hold `source` (N, condition_channels, H, W) and `target` (N, 1 or 3, H, W), both in [-1, 1]. What the flow models is
    `[cinn] target`: the photo's chroma at a fraction of its size, under the luma that is its source, or the whole target.
    """

    data_form: ClassVar[DataForm] = "paired"
    sections: ClassVar[tuple[str, ...]] = ("cinn",)

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        self._options, self._fabric, self._source = config.cinn, fabric, source
        self._half_life = config.optimizer.ema_half_life_images
        network = CinnNetwork(config, source)
        if config.loop.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = averaged_copy(network, fabric.device).eval()
        optimizer = _optimizer(network, config)
        self._network, placed = fabric.setup(network, optimizer)
        self._optimizers = {"network": cast(Optimizer, placed)}
        norm_max = config.cinn.gradient_norm_max
        self._descent = Descent(fabric, {"network": self._network}, self._optimizers, gradient_norm_max=norm_max)

    @property
    def networks(self) -> nn.ModuleDict:
        return nn.ModuleDict({"network": self._network.module, "average": self._average})

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._optimizers

    def step(self, *batches: Batch) -> dict[str, float]:
        """One step down the negative log-likelihood."""
        losses = self._descent.update(["network"], batches, self._objective)
        pictures = sum(len(batch["target"]) for batch in batches) * self._fabric.world_size
        update_average(self._average, self._network.module, pictures, self._half_life)
        return {name: loss.item() for name, loss in losses.items()}

    def _objective(self, batch: Batch) -> Objective:
        values = self._average.values_of(batch["target"])
        noisy = values + self._options.noise * torch.randn_like(values)
        latent, log_det, guesses = self._network(noisy, batch["source"])
        losses = likelihood_losses(latent, log_det)
        weight = self._options.lambda_guess
        if not weight:
            return losses["nll"], losses
        losses["guess"] = guess_loss(guesses, values)
        return losses["nll"] + weight * losses["guess"], losses

    @torch.no_grad()
    def preview(self, batch: Batch) -> Tensor:
        """One sample of each at the default temperature, uint8 (N, H, W, C)."""
        source = batch["source"]
        latent = torch.randn(len(source), self._average.latent_size, device=source.device) * self._options.temperature
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
        known = self._average.state_dict().keys()
        own = {name: weight for name, weight in _as_own(weights).items() if name in known}
        if not own:
            raise ValueError("It is neither a model of family 'cinn' nor one with a U-Net whose encoder could be taken over.")
        whole = {**self._average.state_dict(), **own, "images_seen": torch.zeros((), dtype=torch.int64)}
        try:
            self._average.load_state_dict(whole)
        except RuntimeError as error:
            raise ValueError(f"The model's weights are not those of this network: {error}") from error
        self._network.module.load_state_dict({name: value for name, value in whole.items() if name != "images_seen"})

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        network = copy.deepcopy(self._average if averaged else self._network.module).requires_grad_(False).float().cpu().eval()
        network = cast(CinnNetwork, network)
        default = self._options.temperature
        return {
            "": Exportable(
                ServedCinn(network, self._source),
                tuple(spec.name for spec in self._source.inputs),
                latent=LatentSpec(shape=(network.latent_size,), distribution="normal"),
                compose="chroma" if network.is_chroma else "replace",
                parameters=(temperature(default),),
                encoder=StyleEncoder(network, default) if network.is_chroma else None,
            )
        }


def _as_own(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of an exported graph under the names that they have in a `CinnNetwork`."""
    own = {}
    for name, weight in weights.items():
        if name.startswith("generator.encoder."):
            own[name.replace("generator.", "condition.", 1)] = weight
        elif name.endswith(".perm_inv"):  # the graph goes one way and holds the permutations of that way only
            indices = weight.long()
            own |= {
                name.removeprefix("network."): indices,
                name.removeprefix("network.").removesuffix("_inv"): indices.argsort(),
            }
        elif name.startswith("network."):
            own[name.removeprefix("network.")] = weight
    return own


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


def guess_loss(guesses: Sequence[Tensor], values: Tensor) -> Tensor:
    """Mean squared error of guesses (N, c, s, s) of the values (N, c, S, S), averaged over scales.

    Likelihood is mostly about fine detail, and what a thing is tells little of it; the papers therefore let a network learn
    colours before it conditions a flow. Here it learns both at once.
    """
    errors = [F.mse_loss(guess.float(), F.adaptive_avg_pool2d(values, guess.shape[-1])) for guess in guesses]
    return torch.stack(errors).mean()


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
        self.condition = ConditionNetwork(
            source.condition_channels,
            size // options.condition_shrink,
            self.flow.sides,
            base_channels=options.base_channels,
            max_channels=options.max_channels,
            map_channels=options.map_channels,
            vector_channels=options.vector_channels,
        )
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
        return shrink(rgb_to_ycbcr(target)[:, 1:], self._factor) / CHROMA_SCALE

    def sample(self, latent: Tensor, source: Tensor) -> Tensor:
        """The picture of a latent, at the source's size where it is chroma: (N, 1 or 3, H, W) in [-1, 1]."""
        maps, vector = self.condition(shrink(source, self._condition_factor))
        values = self.flow.inverse(latent, maps, vector).float()
        if not self.is_chroma:
            return values
        chroma = guided_upsample(values * CHROMA_SCALE, source)
        return ycbcr_to_rgb(torch.cat([source, chroma], dim=1))


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
    for name, factor in (("shrink", options.shrink), ("condition_shrink", options.condition_shrink)):
        if size % factor:
            raise ValueError(f"Config key 'cinn.{name}' is {factor}, which does not divide augment.image_size {size}.")


def _optimizer(network: nn.Module, config: TrainConfig) -> AdamW:
    """Adam whose weight decay is the Gaussian prior of the weights (section 3.2)."""
    options = config.optimizer
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    betas, decay = (options.beta1, options.beta2), config.cinn.weight_decay
    return AdamW(trained, lr=options.learning_rate, betas=betas, weight_decay=decay, fused=True)


class ServedCinn(nn.Module):
    """The served graph: inputs in bytes, a latent and a temperature to a picture in bytes."""

    def __init__(self, network: CinnNetwork, source: SourceSpec) -> None:
        super().__init__()
        self.network = network
        self._source = source

    def forward(self, *given: Tensor) -> Tensor:
        """Images uint8 (N, H, W, C), latent (N, latent_size), temperature (N, 1). Result: uint8 (N, H, W, 1 or 3)."""
        *images, latent, temperature = given
        return decode_picture(self.network.sample(latent * temperature, encode_inputs(images, self._source)))


class StyleEncoder(nn.Module):
    """The second served graph: a photo in colour to the latent that gives its colours back at the default temperature."""

    def __init__(self, network: CinnNetwork, temperature: float) -> None:
        super().__init__()
        self.network = network
        self._temperature = temperature

    def forward(self, style: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) to (N, latent_size)."""
        picture = encode_picture(style)
        latent, _, _ = self.network(self.network.values_of(picture), luma_of(picture))
        found: Tensor = latent / self._temperature
        return found
