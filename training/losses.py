"""Losses: functions from tensors to unweighted means. Weights belong to the families."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import AdversarialLoss

_NOBODY = 0.02
"""Share of people below which a pixel counts as drawn by none: sampling between pixels leaves a trace of a line beside it."""


def adversarial_loss(logits: Tensor, *, is_real: bool, kind: AdversarialLoss) -> Tensor:
    """Mean distance of logits from the verdict `is_real`.

    Vanilla: -log sigmoid(l) for real, -log(1 - sigmoid(l)) for fake, computed as softplus. LSGAN: (l - 1)^2 and l^2. The
    generator calls it with `is_real=True` on its own pictures, the non-saturating form (pix2pix, 3.3).
    """
    logits = logits.float()
    if kind is AdversarialLoss.VANILLA:
        return F.softplus(-logits if is_real else logits).mean()
    return (logits - float(is_real)).square().mean()


def judging_losses(logits: Tensor, kind: AdversarialLoss) -> tuple[Tensor, Tensor]:
    """A discriminator's losses on real pictures and on fakes, from logits (2 N, ...) of both, the real ones first.

    Side by side they are judged quicker than one after the other, which is no other thing where norms are each picture's own.
    """
    real_logits, fake_logits = logits.chunk(2)
    return adversarial_loss(real_logits, is_real=True, kind=kind), adversarial_loss(fake_logits, is_real=False, kind=kind)


def boundary_loss(logits: Tensor, boundary: Tensor, *, agreement: float, negative_weight: float) -> Tensor:
    """Cross-entropy of boundaries that are rare and that people disagree on (HED, 2.2; Liu et al., CVPR 2017, 3.2).

    Pixels that at least `agreement` of the people drew, and those that nobody drew, weigh alike as two groups, the latter times
    `negative_weight`; the others count neither way. Summed over the channels of `logits`, one a side output.

    Args:
        logits: (N, K, H, W).
        boundary: (N, 1, H, W) in [0, 1], the share of people who drew a pixel.
    """
    logits = logits.float()
    drawn, empty = (boundary >= agreement).float(), (boundary < _NOBODY).float()
    positives, negatives = (mask.sum(dim=(1, 2, 3), keepdim=True) for mask in (drawn, empty))
    counted = (positives + negatives).clamp(min=1.0)
    weight = drawn * negatives / counted + negative_weight * empty * positives / counted  # (N, 1, H, W)
    entropy = F.binary_cross_entropy_with_logits(logits, drawn.expand_as(logits), reduction="none")
    # A picture without a boundary would have no weight at all; the denominator makes the mean that of a balanced pixel.
    return (weight * entropy).sum(dim=1).mean() / weight.mean().clamp(min=1e-6)


def dice_loss(logits: Tensor, boundary: Tensor, *, agreement: float) -> Tensor:
    """1 - 2 |p g| / (|p|^2 + |g|^2) of each picture (Deng et al., ECCV 2018, 3.2), which has no patience with thick lines.

    Args:
        logits: (N, 1, H, W).
        boundary: As for `boundary_loss`.
    """
    p, g = torch.sigmoid(logits.float()), (boundary >= agreement).float()
    dims = (1, 2, 3)
    return (1 - 2 * (p * g).sum(dims) / (p.square().sum(dims) + g.square().sum(dims) + 1.0)).mean()


def covered_l1_loss(image: Tensor, target: Tensor, coverage: Tensor) -> Tensor:
    """Mean absolute difference over the pixels that `coverage` (N, 1, H, W) in [0, 1] marks; 0 where it marks none."""
    difference = torch.abs(image.float() - target.float()).mean(dim=1, keepdim=True)
    return (difference * coverage).sum() / coverage.sum().clamp(min=1.0)


def l1_loss(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, in units of [-1, 1]."""
    return torch.mean(torch.abs(image.float() - target.float()))


def cycle_consistency_loss(reconstructed: Tensor, real: Tensor) -> Tensor:
    """How far a picture comes back from where it went: |G_ba(G_ab(a)) - a| (CycleGAN, 3.2)."""
    return l1_loss(reconstructed, real)


def identity_loss(identity: Tensor, real: Tensor) -> Tensor:
    """How much a generator changes what is in its target domain already: |G_ab(b) - b| (CycleGAN, 5.2)."""
    return l1_loss(identity, real)
