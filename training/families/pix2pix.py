"""pix2pix (Isola, Zhu, Zhou, Efros, CVPR 2017): paired translation by a U-Net against a PatchGAN."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.config import TrainConfig
from training.descent import Objective
from training.diffaugment import diffaugment
from training.encoding import decode_picture, encode_hints, encode_inputs
from training.families.protocol import Batch, DataForm, Exportable, LatentSpec
from training.families.rivals import Rivals
from training.losses import adversarial_loss, covered_l1_loss, judging_losses, l1_loss
from training.networks.build import build_discriminator, build_unet
from training.networks.patchgan import Window, random_window
from training.networks.scheme_memory import SCHEME_BITS, SchemeMemory
from training.source import SourceSpec
from training.spread import SPREAD_CHANNELS, spread_hints

HINT_CHANNELS = 4
TARGET_CHANNELS = 3


@dataclass(frozen=True)
class _Take:
    """One batch and what the generator made of it; only the part `judged` is shown to the discriminator."""

    condition: Tensor
    target: Tensor
    shown: Tensor
    noise: Tensor
    fake: Tensor
    judged: Window


class Pix2Pix:
    """One generator, one conditional discriminator, and the generator's running average, which is what is served.

    Batches hold `source` (N, C, H, W), all inputs laid on one another, `target` (N, 3, H, W) in [-1, 1] and, with hints,
    `hints` (N, 4, H, W). The discriminator sees hints too, so that a picture which ignores them is told from a real one.

    Departure from the paper, off by default: with `color_scheme` batches also hold `scheme` (N, 3 K), the target's dominant
    colours, which the generator alone sees, all over the picture; the served graph takes them from its latent. Some samples are
    told another picture's, so that a scheme decides only what lines and hints leave open.
    """

    data_form: ClassVar[DataForm] = "paired"
    sections: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "loss", "hints", "color_scheme")

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        self._loss = config.loss
        self._source = source
        self._has_hints = config.hints.enabled
        self._spreads = config.hints.enabled and config.hints.spread
        if self._spreads and source.kind != "line":
            raise ValueError(
                f"hints.spread lets dabs run to drawn lines, but the data set's inputs are '{source.kind}'; set it false."
            )
        if config.color_scheme.colors and self._has_hints and config.hints.none_share == 0:
            raise ValueError(
                "Config key 'hints.none_share' is 0, but with color_scheme.colors seeds choose among the schemes of pictures "
                "without hints; give a share, such as 0.3, or set color_scheme.colors to 0."
            )
        self._fabric = fabric
        self._window = config.discriminator.window
        self._augment = config.discriminator.augment
        condition_channels = source.condition_channels + (HINT_CHANNELS if self._has_hints else 0)
        scheme_channels = 3 * config.color_scheme.colors
        shown_channels = condition_channels + (SPREAD_CHANNELS if self._spreads else 0) + scheme_channels
        generator = build_unet(config, shown_channels, TARGET_CHANNELS, flat_channels=scheme_channels)
        discriminator = build_discriminator(config, condition_channels + TARGET_CHANNELS)
        self._rivals = Rivals(generator, discriminator, config.optimizer, fabric)
        self._descent = self._rivals.descent
        self._swap_share = config.color_scheme.swap_share
        self._schemes = SchemeMemory(config.color_scheme.colors).to(fabric.device) if scheme_channels else None

    @property
    def networks(self) -> nn.ModuleDict:
        networks = self._rivals.networks
        if self._schemes is not None:
            networks["schemes"] = self._schemes
        return networks

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._rivals.optimizers

    def step(self, *batches: Batch) -> dict[str, float]:
        """Updates the discriminator, the generator, then the average (3.3: alternating, the discriminator's loss halved)."""
        takes = [self._take(batch, keeps_graph=len(batches) == 1) for batch in batches]
        losses = self._descent.update(["discriminator"], takes, self._judging_objective)
        losses |= self._descent.update(["generator"], takes, self._painting_objective)
        for batch in batches:
            self._remember_scheme(batch)
        self._rivals.update_average(sum(len(take.target) for take in takes))
        return {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Tensor:
        """Pictures of the averaged generator, uint8 (N, H, W, 3), with noise drawn from torch's current seed."""
        condition = self._condition(batch)
        scheme = None if self._schemes is None else self._schemes.draw(len(condition))
        with self._fabric.autocast():
            return decode_picture(self._rivals.average(self._shown(condition, scheme), self._rivals.draw_noise(condition)))

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self._rivals.start_from(weights)

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        return {"": self.exportable(averaged=averaged)}

    def exportable(self, *, averaged: bool = True) -> Exportable:
        """The one graph to serve."""
        generator = self._rivals.served_generator(averaged=averaged)
        names = (*(spec.name for spec in self._source.inputs), *(["hints"] if self._has_hints else []))
        schemes = copy.deepcopy(self._schemes).cpu() if self._schemes is not None else None
        served = ServedGenerator(generator, self._source, has_hints=self._has_hints, spreads=self._spreads, schemes=schemes)
        return Exportable(module=served.eval(), image_names=names, latent=served.latent)

    def _condition(self, batch: Batch) -> Tensor:
        if not self._has_hints:
            return batch["source"]
        return torch.cat([batch["source"], batch["hints"]], dim=1)

    def _shown(self, condition: Tensor, scheme: Tensor | None) -> Tensor:
        """What the generator sees: the condition and, beside it, how far its dabs run and a scheme of colours (N, 3 K)."""
        shown = with_spread(condition, self._source) if self._spreads else condition
        return shown if scheme is None else with_scheme(shown, scheme)

    def _told_scheme(self, batch: Batch) -> Tensor | None:
        """Each target's own scheme, or for a share of the samples one of another picture."""
        if self._schemes is None:
            return None
        own = batch["scheme"]
        is_swapped = torch.rand(len(own), 1, device=own.device) < self._swap_share
        return torch.where(is_swapped, self._schemes.draw(len(own)), own)

    def _remember_scheme(self, batch: Batch) -> None:
        """Keeps schemes for seeds to choose, but those of recoloured pictures, which only hinted ones are."""
        if self._schemes is None:
            return
        scheme = batch["scheme"]
        self._schemes.remember(scheme[batch["hints"][:, 3].amax(dim=(1, 2)) == 0] if self._has_hints else scheme)

    def _judge(self, condition: Tensor, picture: Tensor) -> Tensor:
        """The discriminator's logits for pairs, which move and lose a square as one where augmentation is on."""
        logits: Tensor = self._rivals.discriminator(diffaugment(torch.cat([condition, picture], 1), self._augment))
        return logits

    def _take(self, batch: Batch, *, keeps_graph: bool) -> _Take:
        """Paints a batch. Of several, graphs are made again for the generator's turn, for all of them would fill the memory."""
        condition = self._condition(batch)
        noise = self._rivals.draw_noise(condition)
        shown = self._shown(condition, self._told_scheme(batch))
        with torch.set_grad_enabled(keeps_graph):
            fake = self._rivals.generator(shown, noise)
        return _Take(condition, batch["target"], shown, noise, fake, random_window(condition.shape[2:], self._window))

    def _judging_objective(self, take: _Take) -> Objective:
        self._rivals.discriminator.requires_grad_(True)
        condition, target, fake = (part[take.judged] for part in (take.condition, take.target, take.fake.detach()))
        logits = self._judge(torch.cat([condition, condition]), torch.cat([target, fake]))
        real_loss, fake_loss = judging_losses(logits, self._loss.adversarial)
        return 0.5 * (real_loss + fake_loss), {"discriminator_real": real_loss, "discriminator_fake": fake_loss}

    def _painting_objective(self, take: _Take) -> Objective:
        # The discriminator only judges here: without its gradients a third of its backward pass is saved.
        self._rivals.discriminator.requires_grad_(False)
        condition, target = take.condition, take.target
        fake = take.fake if take.fake.requires_grad else self._rivals.generator(take.shown, take.noise)
        logits = self._judge(condition[take.judged], fake[take.judged])
        losses = {
            "adversarial": adversarial_loss(logits, is_real=True, kind=self._loss.adversarial),
            "l1": l1_loss(fake, target),
        }
        # G* = arg min  lambda_adversarial * L_adversarial + lambda_l1 * L_1  (+ lambda_hints * L_1 under hints)
        total = self._loss.lambda_adversarial * losses["adversarial"] + self._loss.lambda_l1 * losses["l1"]
        if self._has_hints:
            losses["hints"] = covered_l1_loss(fake, target, coverage=condition[:, -1:])
            total = total + self._loss.lambda_hints * losses["hints"]
        return total, losses


class ServedGenerator(nn.Module):
    """The served graph: bytes in, bytes out; encoding, noise and decoding are nodes of it.

    The latent is the masks of dropout and behind them, where the generator is told colours, the bits that choose them.
    """

    def __init__(
        self,
        generator: nn.Module,
        source: SourceSpec,
        *,
        has_hints: bool,
        spreads: bool = False,
        schemes: SchemeMemory | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.schemes = schemes
        self._source = source
        self._has_hints = has_hints
        self._spreads = spreads
        self._noise_size = cast(int, generator.noise_size)

    @property
    def latent(self) -> LatentSpec | None:
        """All that is random; None where nothing is."""
        size = self._noise_size + (SCHEME_BITS if self.schemes is not None else 0)
        return LatentSpec(shape=(size,), distribution="bernoulli") if size else None

    def forward(self, *inputs: Tensor) -> Tensor:
        """One uint8 (N, H, W, C) an image input; hints uint8 (N, H, W, 4) where trained with; the latent where there is one."""
        count = len(self._source.inputs)
        image, condition = inputs[0], encode_inputs(inputs[:count], self._source)
        if self._has_hints:
            condition = torch.cat([condition, encode_hints(inputs[count])], dim=1)
        shown = with_spread(condition, self._source) if self._spreads else condition
        latent = inputs[-1] if self.latent else image.new_zeros((image.shape[0], 0), dtype=torch.float32)
        if self.schemes is not None:
            shown = with_scheme(shown, self.schemes(latent[:, self._noise_size :]))
        return decode_picture(self.generator(shown, latent[:, : self._noise_size]))


def with_scheme(shown: Tensor, scheme: Tensor) -> Tensor:
    """What is shown, and beside it a scheme all over the picture: (N, C, H, W) and (N, S) to (N, C + S, H, W)."""
    return torch.cat([shown, scheme[:, :, None, None].expand(-1, -1, *shown.shape[2:])], dim=1)


def with_spread(condition: Tensor, source: SourceSpec) -> Tensor:
    """Lines, other inputs and hints, and beside them how far the hints run: (N, C, H, W) to (N, C + 4, H, W)."""
    first = source.condition_channels
    hints = condition[:, first : first + HINT_CHANNELS]
    return torch.cat([condition, spread_hints(condition[:, :1], hints)], dim=1)
