"""Training loops as papers' code has them on a processor: float32, contiguous layout, no average, no windows, no crops.

They take their pictures ready-made. Networks are copies of those that are measured beside them.
"""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from training.colorspace import rgb_to_ycbcr, ycbcr_to_rgb
from training.families.protocol import Batch
from training.networks.doubling import ResizeConvolution

POOL_CAPACITY = 50


class PlainLoop(Protocol):
    """One update of all networks."""

    def step(self, batch: Batch) -> None: ...


class PlainPix2Pix:
    """Isola et al. 2017, 3: the discriminator's update, then the generator's."""

    def __init__(self, networks: nn.ModuleDict, lambda_l1: float) -> None:
        self._generator, self._discriminator = plain_copy(networks["generator"]), plain_copy(networks["discriminator"])
        self._generator_optimizer, self._discriminator_optimizer = _adam([self._generator]), _adam([self._discriminator])
        self._lambda_l1 = lambda_l1

    def step(self, batch: Batch) -> None:
        condition = torch.cat([batch["source"], batch["hints"]], 1) if "hints" in batch else batch["source"]
        shown = torch.cat([condition, *(batch[name] for name in ("spread", "scheme") if name in batch)], 1)
        fake = self._generator(shown, _noise(self._generator, condition))
        real_pair, fake_pair = (torch.cat([condition, picture], 1) for picture in (batch["target"], fake))
        _judge(self._discriminator, self._discriminator_optimizer, real_pair, fake_pair.detach())
        loss = _fool(self._discriminator, fake_pair) + self._lambda_l1 * F.l1_loss(fake, batch["target"])
        _descend(loss, self._generator_optimizer)


class PlainColorizer:
    """The same game; the generator paints Cb and Cr at the photo's own size, the discriminator sees RGB."""

    def __init__(self, networks: nn.ModuleDict, lambda_chroma: float, lambda_l1: float) -> None:
        self._generator, self._discriminator = plain_copy(networks["generator"]), plain_copy(networks["discriminator"])
        self._generator_optimizer, self._discriminator_optimizer = _adam([self._generator]), _adam([self._discriminator])
        self._lambda_chroma, self._lambda_l1 = lambda_chroma, lambda_l1

    def step(self, batch: Batch) -> None:
        gray, target = batch["source"], batch["target"]
        chroma = self._generator(gray, _noise(self._generator, gray))
        fake = ycbcr_to_rgb(torch.cat([gray, chroma], 1))
        _judge(self._discriminator, self._discriminator_optimizer, target, fake.detach())
        chroma_loss = F.l1_loss(chroma, rgb_to_ycbcr(target)[:, 1:])
        loss = _fool(self._discriminator, fake) + self._lambda_chroma * chroma_loss + self._lambda_l1 * F.l1_loss(fake, target)
        _descend(loss, self._generator_optimizer)


class PlainCycleGAN:
    """Zhu et al. 2017, 3 and 4, with the identity loss (5.2) where it has a weight: both generators' update, then each
    discriminator's."""

    def __init__(self, networks: nn.ModuleDict, lambda_cycle: float, lambda_identity: float) -> None:
        self._ab, self._ba, self._judge_a, self._judge_b = (
            plain_copy(networks[name]) for name in ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
        )
        self._optimizer = _adam([self._ab, self._ba])
        self._optimizer_a, self._optimizer_b = _adam([self._judge_a]), _adam([self._judge_b])
        self._lambda_cycle, self._lambda_identity = lambda_cycle, lambda_identity
        self._pools: tuple[list[Tensor], list[Tensor]] = ([], [])

    def step(self, batch: Batch) -> None:
        a, b = batch["a"], batch["b"]
        fake_b, fake_a = self._ab(a), self._ba(b)
        for judge in (self._judge_a, self._judge_b):
            judge.requires_grad_(False)
        fooling = (self._judge_b(fake_b) - 1).square().mean() + (self._judge_a(fake_a) - 1).square().mean()
        cycle = F.l1_loss(self._ba(fake_b), a) + F.l1_loss(self._ab(fake_a), b)
        loss = fooling + self._lambda_cycle * cycle
        if self._lambda_identity:
            loss = loss + self._lambda_identity * (F.l1_loss(self._ba(a), a) + F.l1_loss(self._ab(b), b))
        _descend(loss, self._optimizer)
        sides = ((self._judge_a, self._optimizer_a, a, fake_a), (self._judge_b, self._optimizer_b, b, fake_b))
        for (judge, optimizer, real, fake), pool in zip(sides, self._pools, strict=True):
            judge.requires_grad_(True)
            old = _from_pool(pool, fake.detach())
            _descend(0.5 * ((judge(real) - 1).square().mean() + judge(old).square().mean()), optimizer)


def plain_copy(network: nn.Module) -> nn.Module:
    """Float32 and contiguous; where the resolution is doubled, two operators one after the other, as they are written down."""
    plain: nn.Module = copy.deepcopy(network).float().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for name, module in list(plain.named_modules()):
        if isinstance(module, ResizeConvolution):
            plain.set_submodule(name, module.plain())
    return plain.requires_grad_(True)


def _adam(networks: Iterable[nn.Module]) -> Adam:
    parameters = itertools.chain.from_iterable(network.parameters() for network in networks)
    return Adam(parameters, lr=2e-4, betas=(0.5, 0.999))


def _noise(generator: nn.Module, condition: Tensor) -> Tensor:
    return torch.empty(len(condition), int(generator.noise_size)).bernoulli_(0.5)  # type: ignore[arg-type]


def _judge(discriminator: Callable[[Tensor], Tensor], optimizer: Adam, real: Tensor, fake: Tensor) -> None:
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.requires_grad_(True)
    loss = 0.5 * (F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean())
    _descend(loss, optimizer)


def _fool(discriminator: nn.Module, fake: Tensor) -> Tensor:
    discriminator.requires_grad_(False)
    return F.softplus(-discriminator(fake)).mean()


def _descend(loss: Tensor, optimizer: Adam) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _from_pool(pool: list[Tensor], fake: Tensor) -> Tensor:
    """The fake itself, or, half of the time once the pool is full, an old one whose place it takes."""
    if len(pool) < POOL_CAPACITY:
        pool.append(fake)
        return fake
    if random.random() < 0.5:
        return fake
    place = random.randrange(POOL_CAPACITY)
    old, pool[place] = pool[place], fake
    return old
