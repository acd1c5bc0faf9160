"""pix2pix (Isola, Zhu, Zhou, Efros, CVPR 2017): paired translation by a U-Net against a PatchGAN."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import ClassVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.config import TrainConfig
from training.diffaugment import diffaugment
from training.encoding import decode_picture, encode_hints, encode_labels, encode_picture
from training.families.protocol import Batch, DataForm, Exportable, LatentSpec
from training.losses import adversarial_loss, covered_l1_loss, l1_loss
from training.networks.average import averaged_copy, update_average
from training.networks.build import adam, build_discriminator, build_unet
from training.networks.patchgan import Window, random_window
from training.source import SourceSpec

HINT_CHANNELS = 4
TARGET_CHANNELS = 3


class Pix2Pix:
    """One generator, one conditional discriminator, and the generator's running average, which is what is served.

    Batches hold `source` (N, C, H, W), `target` (N, 3, H, W) in [-1, 1] and, with hints, `hints` (N, 4, H, W). The
    discriminator sees hints too, so that a picture which ignores them is told from a real one.
    """

    data_form: ClassVar[DataForm] = "paired"
    sections: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "loss", "hints")

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        self._loss = config.loss
        self._source = source
        self._has_hints = config.hints.enabled
        self._fabric = fabric
        self._half_life = config.optimizer.ema_half_life_images
        self._window = config.discriminator.window
        self._augment = config.discriminator.augment
        condition_channels = source.network_channels + (HINT_CHANNELS if self._has_hints else 0)
        generator = build_unet(config, condition_channels, TARGET_CHANNELS)
        discriminator = build_discriminator(config, condition_channels + TARGET_CHANNELS)
        self._average = averaged_copy(generator, fabric.device)
        self._generator, generator_optimizer = fabric.setup(generator, adam(generator, config.optimizer))
        self._discriminator, discriminator_optimizer = fabric.setup(discriminator, adam(discriminator, config.optimizer))
        self._optimizers: dict[str, Optimizer] = {
            "generator": cast(Optimizer, generator_optimizer),
            "discriminator": cast(Optimizer, discriminator_optimizer),
        }

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
        update_average(self._average, self._generator.module, len(target) * self._fabric.world_size, self._half_life)
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
            self._average.load_state_dict({**own, "images_seen": torch.zeros((), dtype=torch.int64)})
        except RuntimeError as error:
            raise ValueError(f"The model's weights are not those of this generator: {error}") from error

    def exportables(self) -> Mapping[str, Exportable]:
        return {"": self.exportable()}

    def exportable(self) -> Exportable:
        """The one graph to serve."""
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

    def _judge(self, condition: Tensor, picture: Tensor) -> Tensor:
        """The discriminator's logits for pairs, which move and lose a square as one where augmentation is on."""
        logits: Tensor = self._discriminator(diffaugment(torch.cat([condition, picture], 1), self._augment))
        return logits

    def _step_discriminator(self, condition: Tensor, target: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        kind = self._loss.adversarial
        self._discriminator.requires_grad_(True)
        real_loss = adversarial_loss(self._judge(condition, target), is_real=True, kind=kind)
        fake_loss = adversarial_loss(self._judge(condition, fake), is_real=False, kind=kind)
        self._optimizers["discriminator"].zero_grad()
        self._fabric.backward(0.5 * (real_loss + fake_loss))
        self._optimizers["discriminator"].step()
        return real_loss.detach(), fake_loss.detach()

    def _step_generator(self, condition: Tensor, target: Tensor, fake: Tensor, judged: Window) -> dict[str, Tensor]:
        # The discriminator only judges here: without its gradients a third of its backward pass is saved.
        self._discriminator.requires_grad_(False)
        logits = self._judge(condition[judged], fake[judged])
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
        noise = (
            others[-1] if cast(int, self.generator.noise_size) else image.new_zeros((image.shape[0], 0), dtype=torch.float32)
        )
        return decode_picture(self.generator(condition, noise))
