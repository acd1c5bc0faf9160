"""From configuration sections to networks and their optimisers, for every family that uses them."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Adam

from training.config import DiscriminatorConfig, NoiseKind, OptimizerConfig, TrainConfig
from training.networks.initialization import initialize_normal
from training.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from training.networks.resnet import ResNetGenerator
from training.networks.unet import UNetGenerator

Network = TypeVar("Network", bound=nn.Module)


def build_unet(
    config: TrainConfig, in_channels: int, out_channels: int, *, side: int | None = None, flat_channels: int = 0
) -> UNetGenerator:
    """The U-Net that `[generator]` describes for pictures of `side` pixels (the configured size when absent), initialised.

    Raises:
        ValueError: The training crops do not fit its levels.
    """
    _require_fitting_crops(config)
    options: dict[str, Any] = config.generator.model_dump()
    size = side or config.augment.image_size
    network = UNetGenerator(in_channels, out_channels, image_size=size, flat_channels=flat_channels, **options)
    return _initialized(network, config)


def build_resnet(config: TrainConfig, channels: int) -> ResNetGenerator:
    """The residual generator that `[resnet]` describes, from `channels` to as many, initialised.

    With an input skip it starts as the picture itself, which its cycle and identity losses want anyway.
    """
    options: dict[str, Any] = config.resnet.model_dump()
    network = _initialized(ResNetGenerator(channels, channels, **options), config)
    if network.skip is not None:
        nn.init.dirac_(network.skip.weight)
    return network


def build_discriminator(config: TrainConfig, in_channels: int) -> nn.Module:
    """The PatchGAN or pixel network that `[discriminator]` describes, initialised."""
    return _initialized(_discriminator(config.discriminator, in_channels), config)


def adam(network: nn.Module, options: OptimizerConfig) -> Adam:
    """Adam as in pix2pix, 3.3."""
    return Adam(network.parameters(), lr=options.learning_rate, betas=(options.beta1, options.beta2), fused=True)


def _discriminator(config: DiscriminatorConfig, in_channels: int) -> nn.Module:
    if config.layers == 0:
        return PixelDiscriminator(in_channels, base_channels=config.base_channels)
    return PatchDiscriminator(in_channels, base_channels=config.base_channels, layers=config.layers)


def _initialized(network: Network, config: TrainConfig) -> Network:
    initialize_normal(network)
    if config.loop.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _require_fitting_crops(config: TrainConfig) -> None:
    crop, step = config.augment.crop_size, 2**config.generator.levels
    if crop % step:
        levels = config.generator.levels
        raise ValueError(f"Config key 'augment.crop_size' is {crop}; with {levels} levels it must be a multiple of {step}.")
    if crop and config.generator.noise_levels and config.generator.noise is NoiseKind.ELEMENT:
        raise ValueError("Config key 'augment.crop_size' needs generator.noise = 'channel': masks of elements have one size.")
