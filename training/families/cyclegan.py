"""CycleGAN (Zhu, Park, Isola, Efros, ICCV 2017): unpaired translation both ways between two domains of pictures."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.config import TrainConfig
from training.descent import Descent, Objective
from training.diffaugment import diffaugment
from training.encoding import decode_picture, encode_picture
from training.families.protocol import Batch, DataForm, Exportable
from training.image_pool import ImagePool
from training.losses import adversarial_loss, cycle_consistency_loss, identity_loss, judging_losses
from training.networks.average import averaged_copy, update_average
from training.networks.build import adam, build_discriminator, build_resnet
from training.networks.patchgan import random_window
from training.source import SourceSpec

DIRECTIONS = ("ab", "ba")
DOMAINS = ("a", "b")


@dataclass(frozen=True)
class Cycle:
    """One batch there and back, both ways; `identity_b` is what the generator towards b makes of b itself."""

    real_a: Tensor
    real_b: Tensor
    fake_a: Tensor
    fake_b: Tensor
    reconstructed_a: Tensor
    reconstructed_b: Tensor
    identity_a: Tensor | None
    identity_b: Tensor | None


class CycleGAN:
    """Two generators, a discriminator for each domain, and the generators' running averages, which are what is served.

    Batches hold `a` and `b`, (N, 3, H, W) in [-1, 1], drawn from each domain on its own. `discriminator_b` judges domain b,
    and so what `generator_ab` makes.

    The paper's losses (3, 5.2): least squares, cycle consistency, identity. What keeps it from going astray, each with a
    setting in `[cyclegan]` that turns it off:

    - pools of old fakes (4), so that a discriminator does not forget;
    - the identity loss, which keeps colours where they are right already;
    - discriminator augmentation (Zhao et al. 2020), because a few hundred pictures are soon known by heart;
    - gradients clipped by their norm, and an update left out when one is not finite: Adam remembers a single spike for a
      thousand steps;
    - averaged generators (`optimizer.ema_half_life_images`), because the two games never settle.
    """

    data_form: ClassVar[DataForm] = "unpaired"
    sections: ClassVar[tuple[str, ...]] = ("resnet", "discriminator", "cyclegan")

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        if source.kind != "photo":
            raise ValueError(f"Family 'cyclegan' translates photos, but the data set's pictures are '{source.kind}'.")
        _require_own_augment(config)
        _require_fitting_size(config)
        self._options, self._fabric = config.cyclegan, fabric
        self._half_life = config.optimizer.ema_half_life_images
        self._window = config.discriminator.window
        built: dict[str, nn.Module] = {f"generator_{way}": build_resnet(config, source.channels) for way in DIRECTIONS}
        built |= {f"discriminator_{domain}": build_discriminator(config, source.channels) for domain in DOMAINS}
        self._averages = {way: averaged_copy(built[f"generator_{way}"], fabric.device) for way in DIRECTIONS}
        self._pools = {domain: ImagePool(self._options.pool_capacity).to(fabric.device) for domain in DOMAINS}
        placed = {name: fabric.setup(network, adam(network, config.optimizer)) for name, network in built.items()}
        self._networks = {name: network for name, (network, _) in placed.items()}
        self._optimizers = {name: cast(Optimizer, optimizer) for name, (_, optimizer) in placed.items()}
        self._descent = Descent(fabric, self._networks, self._optimizers, self._options.gradient_norm_max)

    @property
    def networks(self) -> nn.ModuleDict:
        """Generators, discriminators, averaged generators and pools, without any wrapper of the device strategy."""
        return nn.ModuleDict(
            {name: network.module for name, network in self._networks.items()}
            | {f"average_{way}": average for way, average in self._averages.items()}
            | {f"pool_{domain}": pool for domain, pool in self._pools.items()}
        )

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._optimizers

    def step(self, *batches: Batch) -> dict[str, float]:
        """Updates both generators, each discriminator, then the averages."""
        shown: dict[str, list[tuple[Tensor, Tensor]]] = {domain: [] for domain in DOMAINS}

        def translating_objective(batch: Batch) -> Objective:
            cycle = self._cycle(batch["a"], batch["b"])
            shown["a"].append((cycle.real_a, cycle.fake_a.detach()))
            shown["b"].append((cycle.real_b, cycle.fake_b.detach()))
            return self._translating_objective(cycle)

        losses = self._descent.update([f"generator_{way}" for way in DIRECTIONS], batches, translating_objective)
        for domain, pictures in shown.items():
            losses |= self._descent.update([f"discriminator_{domain}"], pictures, partial(self._judging_objective, domain))
        images = sum(len(batch["a"]) for batch in batches) * self._fabric.world_size
        for way, average in self._averages.items():
            update_average(average, self._networks[f"generator_{way}"].module, images, self._half_life)
        return {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """What the averaged generators make of a batch, uint8 (N, H, W, 3)."""
        towards_b, towards_a = (self._averages[way] for way in DIRECTIONS)
        with self._fabric.autocast():
            fake_b, fake_a = towards_b(batch["a"]), towards_a(batch["b"])
            reconstructed_a = towards_a(fake_b)
        made = {"fake_b": fake_b, "reconstructed_a": reconstructed_a, "fake_a": fake_a}
        return {name: decode_picture(image) for name, image in made.items()}

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Refuses: an exported model holds one generator of two."""
        raise ValueError(
            f"An exported model ({len(weights)} weights) translates one way only; give the checkpoint of a run, which has both."
        )

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        """Both directions, of any size that the network can halve."""
        raw = {way: self._networks[f"generator_{way}"].module for way in DIRECTIONS}
        return {way: self._exportable(generator) for way, generator in (self._averages if averaged else raw).items()}

    def _exportable(self, generator: nn.Module) -> Exportable:
        served = ServedTranslator(copy.deepcopy(generator).requires_grad_(False).float().cpu()).eval()
        step = 2 ** cast(int, generator.downsamplings)
        return Exportable(module=served, image_names=("image",), latent=None, size_multiple_of=step)

    def _cycle(self, real_a: Tensor, real_b: Tensor) -> Cycle:
        """All pictures of a step in three passes, for statistics are each picture's own; identities where they are trained."""
        has_identity = bool(self._options.lambda_identity)
        fake_a, *identity_a = self._translate("ba", real_b, *([real_a] if has_identity else []))
        fake_b, reconstructed_b, *identity_b = self._translate("ab", real_a, fake_a, *([real_b] if has_identity else []))
        (reconstructed_a,) = self._translate("ba", fake_b)
        identities = (identity_a[0], identity_b[0]) if has_identity else (None, None)
        return Cycle(real_a, real_b, fake_a, fake_b, reconstructed_a, reconstructed_b, *identities)

    def _translate(self, way: str, *pictures: Tensor) -> tuple[Tensor, ...]:
        """Several batches of one size in one pass."""
        translated: Tensor = self._networks[f"generator_{way}"](torch.cat(pictures) if len(pictures) > 1 else pictures[0])
        return translated.chunk(len(pictures))

    def _translating_objective(self, cycle: Cycle) -> Objective:
        losses = {
            "adversarial_ab": self._fooling_loss("b", cycle.fake_b),
            "adversarial_ba": self._fooling_loss("a", cycle.fake_a),
            "cycle_a": cycle_consistency_loss(cycle.reconstructed_a, cycle.real_a),
            "cycle_b": cycle_consistency_loss(cycle.reconstructed_b, cycle.real_b),
        }
        if cycle.identity_a is not None and cycle.identity_b is not None:
            losses["identity_a"] = identity_loss(cycle.identity_a, cycle.real_a)
            losses["identity_b"] = identity_loss(cycle.identity_b, cycle.real_b)
        # L = L_adversarial(ab) + L_adversarial(ba) + lambda_cycle * L_cycle + lambda_identity * L_identity
        weights = {"adversarial": 1.0, "cycle": self._options.lambda_cycle, "identity": self._options.lambda_identity}
        total = sum(weights[name.partition("_")[0]] * loss for name, loss in losses.items())
        return cast(Tensor, total), losses

    def _fooling_loss(self, domain: str, fake: Tensor) -> Tensor:
        """How far the discriminator of `domain` is from taking fakes for real ones."""
        # It only judges here: without its gradients a third of its backward pass is saved.
        discriminator = self._networks[f"discriminator_{domain}"].requires_grad_(False)
        return adversarial_loss(discriminator(self._shown(fake)), is_real=True, kind=self._options.adversarial)

    def _judging_objective(self, domain: str, pictures: tuple[Tensor, Tensor]) -> Objective:
        """Half the sum of both losses, as in the paper's 7.1, for real pictures and fakes."""
        real, fake = pictures
        discriminator = self._networks[f"discriminator_{domain}"].requires_grad_(True)
        shown = torch.cat([self._shown(real), self._shown(self._pools[domain].sample(fake))])
        real_loss, fake_loss = judging_losses(discriminator(shown), self._options.adversarial)
        loss = 0.5 * (real_loss + fake_loss)
        return loss, {f"discriminator_{domain}": loss}

    def _shown(self, images: Tensor) -> Tensor:
        """What a discriminator sees of pictures: a window where one is set, augmented."""
        return diffaugment(images[random_window(images.shape[2:], self._window)], self._options.discriminator_augment)


class ServedTranslator(nn.Module):
    """The served graph of one direction: bytes in, bytes out."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor) -> Tensor:
        """image: uint8 (N, H, W, C). Result: uint8 (N, H, W, C)."""
        return decode_picture(self.generator(encode_picture(image)))


def _require_own_augment(config: TrainConfig) -> None:
    """Raises ValueError for the setting of families of pairs, which would do nothing here."""
    if config.discriminator.augment:
        raise ValueError(
            "Config key 'discriminator.augment' is for families of pairs; give 'cyclegan.discriminator_augment' in its place."
        )


def _require_fitting_size(config: TrainConfig) -> None:
    """Raises ValueError for pictures or crops that the network cannot halve often enough."""
    step = 2**config.resnet.downsamplings
    for key, side in (("image_size", config.augment.image_size), ("crop_size", config.augment.crop_size)):
        if side % step:
            raise ValueError(
                f"Config key 'augment.{key}' is {side}; with resnet.downsamplings = {config.resnet.downsamplings} it must be a "
                f"multiple of {step}."
            )
