"""Colouriser: gray photo -> colour, pix2pix's game (Isola et al. 2017, 3 and 4) played in chosen colour spaces.

The published variants differ in what the generator paints and in what the discriminator sees; `[color]` chooses both:

| generator | discriminator | loss |
|---|---|---|
| RGB | RGB, with or without the gray picture beside it | adversarial + 100 L1(RGB) |
| CbCr, under the gray picture as Y | RGB | adversarial + 75 L1(CbCr) + 25 L1(RGB) |
| YCbCr | YCbCr | adversarial + 100 L1(YCbCr) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from training.colorspace import color_under_luma, rgb_to_ycbcr, shrink, ycbcr_to_rgb
from training.config import ColorSpace, DiscriminatorAugment, TrainConfig
from training.descent import Objective
from training.diffaugment import diffaugment
from training.encoding import decode_picture, encode_picture
from training.families.protocol import Batch, DataForm, Exportable
from training.families.rivals import Rivals
from training.losses import adversarial_loss, judging_losses, l1_loss
from training.networks.build import build_discriminator, build_unet
from training.networks.patchgan import Window, random_window
from training.source import SourceSpec

PICTURE_CHANNELS = 3


class Colorizer:
    """One generator, one discriminator, and the generator's running average, which is what is served.

    Batches hold `source` (N, 1, H, W), the photo's luma, and `target` (N, 3, H, W), the photo in RGB, both in [-1, 1]. With
    `color.shrink` above 1 both networks work on pictures that much smaller: colour needs less detail than light, and whoever
    shows the result puts it under the photo's own luma.
    """

    data_form: ClassVar[DataForm] = "paired"
    sections: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "loss", "color")

    def __init__(self, config: TrainConfig, source: SourceSpec, fabric: Fabric) -> None:
        if source.kind != "gray":
            raise ValueError(f"Family 'colorizer' colours gray photos, but the data set's pictures are '{source.kind}'.")
        if source.others:
            raise ValueError(f"Family 'colorizer' takes one input, but the data set has {len(source.inputs)}; use 'pix2pix'.")
        _require_fitting_augment(config)
        self._source_name = source.name
        self._color, self._loss, self._fabric = config.color, config.loss, fabric
        self._window = config.discriminator.window
        self._augment = config.discriminator.augment
        painted = 2 if self._color.generator is ColorSpace.CBCR else PICTURE_CHANNELS
        generator = build_unet(config, source.channels, painted, side=config.augment.image_size // self._color.shrink)
        judged = PICTURE_CHANNELS + (source.channels if self._color.discriminator_sees_gray else 0)
        discriminator = build_discriminator(config, judged)
        self._rivals = Rivals(generator, discriminator, config.optimizer, fabric)
        self._descent = self._rivals.descent

    @property
    def networks(self) -> nn.ModuleDict:
        return self._rivals.networks

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        return self._rivals.optimizers

    def step(self, *batches: Batch) -> dict[str, float]:
        """Updates the discriminator, the generator, then the average."""
        takes = [self._take(batch, keeps_graph=len(batches) == 1) for batch in batches]
        losses = self._descent.update(["discriminator"], takes, self._judging_objective)
        losses |= self._descent.update(["generator"], takes, self._painting_objective)
        self._rivals.update_average(sum(len(take.gray) for take in takes))
        return {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def preview(self, batch: Batch) -> Tensor:
        """Pictures of the averaged generator under the photos' own luma, uint8 (N, H, W, 3)."""
        gray = batch["source"]
        small = shrink(gray, self._color.shrink)
        with self._fabric.autocast():
            painted = self._rivals.average(small, self._rivals.draw_noise(small))
        return decode_picture(color_under_luma(_Picture.painted(painted, small, self._color.generator).rgb, gray))

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        self._rivals.start_from(weights)

    def exportables(self, *, averaged: bool = True) -> Mapping[str, Exportable]:
        return {"": self.exportable(averaged=averaged)}

    def exportable(self, *, averaged: bool = True) -> Exportable:
        """The one graph to serve."""
        generator = self._rivals.served_generator(averaged=averaged)
        served = ServedColorizer(generator, self._color.generator, self._color.shrink)
        return Exportable(module=served.eval(), image_names=(self._source_name,), latent=self._rivals.latent, compose="chroma")

    def _shown(self, picture: _Picture, gray: Tensor) -> Tensor:
        """What the discriminator sees of a picture."""
        seen = picture.ycbcr if self._color.discriminator is ColorSpace.YCBCR else picture.rgb
        return torch.cat([gray, seen], dim=1) if self._color.discriminator_sees_gray else seen

    def _judge(self, shown: Tensor) -> Tensor:
        """The discriminator's logits; a gray picture beside the coloured one moves and loses a square with it."""
        logits: Tensor = self._rivals.discriminator(diffaugment(shown, self._augment))
        return logits

    def _take(self, batch: Batch, *, keeps_graph: bool) -> _Take:
        """Paints a batch. Of several, graphs are made again for the generator's turn, for all of them would fill the memory."""
        gray, target = shrink(batch["source"], self._color.shrink), shrink(batch["target"], self._color.shrink)
        noise = self._rivals.draw_noise(gray)
        with torch.set_grad_enabled(keeps_graph):
            painted = self._rivals.generator(gray, noise)
        return _Take(gray, _Picture.of_rgb(target), noise, painted, random_window(gray.shape[2:], self._window))

    def _judging_objective(self, take: _Take) -> Objective:
        self._rivals.discriminator.requires_grad_(True)
        fake = _Picture.painted(take.painted.detach(), take.gray, self._color.generator)
        shown = torch.cat([self._shown(picture, take.gray)[take.judged] for picture in (take.real, fake)])
        real_loss, fake_loss = judging_losses(self._judge(shown), self._loss.adversarial)
        return 0.5 * (real_loss + fake_loss), {"discriminator_real": real_loss, "discriminator_fake": fake_loss}

    def _painting_objective(self, take: _Take) -> Objective:
        self._rivals.discriminator.requires_grad_(False)
        painted = take.painted if take.painted.requires_grad else self._rivals.generator(take.gray, take.noise)
        fake, real = _Picture.painted(painted, take.gray, self._color.generator), take.real
        logits = self._judge(self._shown(fake, take.gray)[take.judged])
        in_ycbcr = self._color.generator is ColorSpace.YCBCR
        losses = {
            "adversarial": adversarial_loss(logits, is_real=True, kind=self._loss.adversarial),
            "l1": l1_loss(fake.ycbcr, real.ycbcr) if in_ycbcr else l1_loss(fake.rgb, real.rgb),
            "chroma_l1": l1_loss(fake.ycbcr[:, 1:], real.ycbcr[:, 1:]),
        }
        # G* = arg min  lambda_adversarial * L_adversarial + lambda_l1 * L_1 + lambda_chroma * L_1(Cb, Cr)
        weights = {
            "adversarial": self._loss.lambda_adversarial,
            "l1": self._loss.lambda_l1,
            "chroma_l1": self._loss.lambda_chroma,
        }
        return cast(Tensor, sum(weights[name] * loss for name, loss in losses.items())), losses


class _Picture:
    """One batch of pictures in both spaces, (N, 3, H, W) in [-1, 1]."""

    def __init__(self, rgb: Tensor, ycbcr: Tensor) -> None:
        self.rgb, self.ycbcr = rgb, ycbcr

    @classmethod
    def of_rgb(cls, rgb: Tensor) -> _Picture:
        return cls(rgb, rgb_to_ycbcr(rgb))

    @classmethod
    def painted(cls, painted: Tensor, gray: Tensor, space: ColorSpace) -> _Picture:
        """What a generator of `space` painted for `gray`."""
        if space is ColorSpace.RGB:
            return cls.of_rgb(painted.float())
        ycbcr = painted.float() if space is ColorSpace.YCBCR else torch.cat([gray, painted.float()], dim=1)
        return cls(ycbcr_to_rgb(ycbcr), ycbcr)


@dataclass(frozen=True)
class _Take:
    """One batch, at the size that the networks see, and what the generator painted; only the part `judged` is shown."""

    gray: Tensor
    real: _Picture
    noise: Tensor
    painted: Tensor
    judged: Window


def _require_fitting_augment(config: TrainConfig) -> None:
    """Raises ValueError for a change of colour where the discriminator does not see RGB."""
    if DiscriminatorAugment.COLOR in config.discriminator.augment and config.color.discriminator is ColorSpace.YCBCR:
        raise ValueError(
            "Config key 'discriminator.augment' holds 'color', which changes RGB, but color.discriminator is 'ycbcr'; leave "
            "'color' out or let the discriminator see 'rgb'."
        )


class ServedColorizer(nn.Module):
    """The served graph: gray bytes in, RGB bytes out, at the same size; colour spaces are nodes of it."""

    def __init__(self, generator: nn.Module, space: ColorSpace, factor: int) -> None:
        super().__init__()
        self.generator = generator
        self._space, self._factor = space, factor

    def forward(self, image: Tensor, *others: Tensor) -> Tensor:
        """image: uint8 (N, H, W, 1); then the latent (N, noise_size) where there is one. Result: uint8 (N, H, W, 3)."""
        gray = encode_picture(image)
        small = shrink(gray, self._factor)
        noise = others[0] if others else image.new_zeros((image.shape[0], 0), dtype=torch.float32)
        rgb = _Picture.painted(self.generator(small, noise), small, self._space).rgb
        return decode_picture(color_under_luma(rgb, gray) if self._factor > 1 else rgb)
