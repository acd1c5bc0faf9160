"""Losses: functions from tensors to unweighted means. Weights belong to the families."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import AdversarialLoss


def adversarial_loss(logits: Tensor, *, is_real: bool, kind: AdversarialLoss) -> Tensor:
    """Mean distance of logits from the verdict `is_real`.

    Vanilla: -log sigmoid(l) for real, -log(1 - sigmoid(l)) for fake, computed as softplus. LSGAN: (l - 1)^2 and l^2. The
    generator calls it with `is_real=True` on its own pictures, the non-saturating form (pix2pix, 3.3).
    """
    logits = logits.float()
    if kind is AdversarialLoss.VANILLA:
        return F.softplus(-logits if is_real else logits).mean()
    return (logits - float(is_real)).square().mean()


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
