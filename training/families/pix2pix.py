"""pix2pix (Isola, Zhu, Zhou, Efros, CVPR 2017): paired translation by a U-Net against a PatchGAN."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from training.config import DiscriminatorConfig, NoiseKind, TrainConfig
from training.encoding import decode_picture, encode_hints, encode_labels, encode_picture
from training.families.protocol import Batch, Exportable, LatentSpec
from training.losses import adversarial_loss, covered_l1_loss, l1_loss
from training.networks.initialization import initialize_normal
from training.networks.patchgan import PatchDiscriminator, PixelDiscriminator, Window, random_window
from training.networks.unet import UNetGenerator
from training.source import SourceSpec

HINT_CHANNELS = 4
TARGET_CHANNELS = 3


class Pix2Pix:
    """One generator, one conditional discriminator, and the generator's running average, which is what is served.

    Batches hold `source` (N, C, H, W), `target` (N, 3, H, W) in [-1, 1] and, with hints, `hints` (N, 4, H, W). The
    discriminator sees hints too, so that a picture which ignores them is told from a real one.
    """

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        self._loss = config.loss
        self._source = source
        self._has_hints = config.hints.enabled
        self._fabric = fabric
        self._half_life = config.optimizer.ema_half_life_images
        self._window = config.discriminator.window
        _require_fitting_crops(config)
        condition_channels = source.network_channels + (HINT_CHANNELS if self._has_hints else 0)
        generator = _build_generator(config, condition_channels)
        discriminator = _build_discriminator(config.discriminator, condition_channels + TARGET_CHANNELS)
        for network in (generator, discriminator):
            initialize_normal(network)
        if config.loop.channels_last:
            for network in (generator, discriminator):
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = copy.deepcopy(generator).requires_grad_(False).to(fabric.device)
        self._images_seen = torch.zeros((), dtype=torch.int64)
        self._generator, generator_optimizer = fabric.setup(generator, _adam(generator, config))
        self._discriminator, discriminator_optimizer = fabric.setup(discriminator, _adam(discriminator, config))
        self._optimizers: dict[str, Optimizer] = {
            "generator": cast(Optimizer, generator_optimizer),
            "discriminator": cast(Optimizer, discriminator_optimizer),
        }
        self._average.register_buffer("images_seen", self._images_seen)

    @property
    def networks(self) -> nn.ModuleDict:
        """Generator, discriminator and averaged generator, without any wrapper of the device strategy."""
        return nn.ModuleDict(
            {"generator": self._generator.module, "discriminator": self._discriminator.module, "average": self._average}
        )

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._optimizers

    def step(self, batch: Batch) -> dict[str, float]:
        """Updates the discriminator, the generator, then the average (3.3: alternating, the discriminator's loss halved)."""
        condition = self._condition(batch)
        target = batch["target"]
        fake = self._generator(condition, self._draw_noise(condition))
        judged = random_window(condition.shape[2:], self._window)
        real_loss, fake_loss = self._step_discriminator(condition[judged], target[judged], fake.detach()[judged])
        generator_losses = self._step_generator(condition, target, fake, judged)
        self._update_average(len(target) * self._fabric.world_size)
        losses = {"discriminator_real": real_loss, "discriminator_fake": fake_loss, **generator_losses}
        return {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Tensor:
        """Pictures of the averaged generator, uint8 (N, H, W, 3), with noise drawn from torch's current seed."""
        condition = self._condition(batch)
        with self._fabric.autocast():
            return decode_picture(self._average(condition, self._draw_noise(condition)))

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """The generator and its average start as the served generator; the discriminator, which is not served, as it is."""
        own = {name.removeprefix("generator."): weight for name, weight in weights.items() if name.startswith("generator.")}
        try:
            self._generator.module.load_state_dict(own)
            self._average.load_state_dict({**own, "images_seen": self._images_seen})
        except RuntimeError as error:
            raise ValueError(f"The model's weights are not those of this generator: {error}") from error

    def exportable(self) -> Exportable:
        names = ("image", "hints") if self._has_hints else ("image",)
        served = ServedGenerator(copy.deepcopy(self._average).float().cpu(), self._source, has_hints=self._has_hints)
        noise_size = self._average.noise_size
        latent = LatentSpec(shape=(noise_size,), distribution="bernoulli") if noise_size else None
        return Exportable(module=served.eval(), image_names=names, latent=latent)

    def _condition(self, batch: Batch) -> Tensor:
        if not self._has_hints:
            return batch["source"]
        return torch.cat([batch["source"], batch["hints"]], dim=1)

    def _draw_noise(self, condition: Tensor) -> Tensor:
        noise_size = self._average.noise_size
        return torch.empty(len(condition), noise_size, device=condition.device).bernoulli_(0.5)

    def _step_discriminator(self, condition: Tensor, target: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        kind = self._loss.adversarial
        self._discriminator.requires_grad_(True)
        real_loss = adversarial_loss(self._discriminator(torch.cat([condition, target], 1)), is_real=True, kind=kind)
        fake_loss = adversarial_loss(self._discriminator(torch.cat([condition, fake], 1)), is_real=False, kind=kind)
        self._optimizers["discriminator"].zero_grad()
        self._fabric.backward(0.5 * (real_loss + fake_loss))
        self._optimizers["discriminator"].step()
        return real_loss.detach(), fake_loss.detach()

    def _step_generator(self, condition: Tensor, target: Tensor, fake: Tensor, judged: Window) -> dict[str, Tensor]:
        # The discriminator only judges here: without its gradients a third of its backward pass is saved.
        self._discriminator.requires_grad_(False)
        logits = self._discriminator(torch.cat([condition[judged], fake[judged]], 1))
        losses = {
            "adversarial": adversarial_loss(logits, is_real=True, kind=self._loss.adversarial),
            "l1": l1_loss(fake, target),
        }
        # G* = arg min  lambda_adversarial * L_adversarial + lambda_l1 * L_1  (+ lambda_hints * L_1 under hints)
        total = self._loss.lambda_adversarial * losses["adversarial"] + self._loss.lambda_l1 * losses["l1"]
        if self._has_hints:
            losses["hints"] = covered_l1_loss(fake, target, coverage=condition[:, -1:])
            total = total + self._loss.lambda_hints * losses["hints"]
        self._optimizers["generator"].zero_grad()
        self._fabric.backward(total)
        self._optimizers["generator"].step()
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def _update_average(self, images: int) -> None:
        """Moves the average towards the generator. Early on the half-life is a tenth of what was seen: it is never stale."""
        seen = cast(Tensor, self._average.images_seen)
        seen += images
        half_life = min(self._half_life, float(seen) / 10)
        decay = 0.5 ** (images / half_life) if half_life > 0 else 0.0
        averages: list[Tensor] = list(self._average.parameters())
        parameters: list[Tensor] = list(self._generator.module.parameters())
        torch._foreach_lerp_(averages, parameters, 1.0 - decay)


class ServedGenerator(nn.Module):
    """The served graph: bytes in, bytes out; encoding, noise and decoding are nodes of it."""

    def __init__(self, generator: nn.Module, source: SourceSpec, *, has_hints: bool) -> None:
        super().__init__()
        self.generator = generator
        self._source = source
        self._has_hints = has_hints

    def forward(self, image: Tensor, *others: Tensor) -> Tensor:
        """image: uint8 (N, H, W, C); then hints uint8 (N, H, W, 4) where trained with; then the latent (N, noise_size)."""
        is_labels = self._source.kind == "labels"
        condition = encode_labels(image, self._source.classes) if is_labels else encode_picture(image)
        if self._has_hints:
            condition = torch.cat([condition, encode_hints(others[0])], dim=1)
        noise = others[-1] if cast(int, self.generator.noise_size) else image.new_zeros((len(image), 0), dtype=torch.float32)
        return decode_picture(self.generator(condition, noise))


def _require_fitting_crops(config: TrainConfig) -> None:
    """Raises ValueError for crops that the network cannot take."""
    crop, step = config.augment.crop_size, 2**config.generator.levels
    if crop % step:
        levels = config.generator.levels
        raise ValueError(f"Config key 'augment.crop_size' is {crop}; with {levels} levels it must be a multiple of {step}.")
    if crop and config.generator.noise_levels and config.generator.noise is NoiseKind.ELEMENT:
        raise ValueError("Config key 'augment.crop_size' needs generator.noise = 'channel': masks of elements have one size.")


def _build_generator(config: TrainConfig, in_channels: int) -> UNetGenerator:
    options: dict[str, Any] = config.generator.model_dump()
    side = config.augment.image_size
    return UNetGenerator(in_channels, TARGET_CHANNELS, image_size=side, **options)


def _build_discriminator(config: DiscriminatorConfig, in_channels: int) -> nn.Module:
    if config.layers == 0:
        return PixelDiscriminator(in_channels, base_channels=config.base_channels)
    return PatchDiscriminator(in_channels, base_channels=config.base_channels, layers=config.layers)


def _adam(network: nn.Module, config: TrainConfig) -> Adam:
    options = config.optimizer
    return Adam(network.parameters(), lr=options.learning_rate, betas=(options.beta1, options.beta2), fused=True)
