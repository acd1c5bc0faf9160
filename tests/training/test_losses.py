"""Losses against worked values."""

import math

import pytest
import torch

from training.config import AdversarialLoss
from training.losses import adversarial_loss, covered_l1_loss, l1_loss


@pytest.mark.parametrize(
    ("kind", "logit", "is_real", "expected"),
    [
        (AdversarialLoss.VANILLA, 0.0, True, math.log(2)),
        (AdversarialLoss.VANILLA, 0.0, False, math.log(2)),
        (AdversarialLoss.VANILLA, 2.0, True, math.log1p(math.exp(-2))),
        (AdversarialLoss.VANILLA, 2.0, False, math.log1p(math.exp(2))),
        (AdversarialLoss.LSGAN, 0.25, True, 0.75**2),
        (AdversarialLoss.LSGAN, 0.25, False, 0.25**2),
    ],
)
def test_adversarial_loss_follows_its_formula(kind: AdversarialLoss, logit: float, is_real: bool, expected: float) -> None:
    logits = torch.full((2, 1, 3, 3), logit)
    assert adversarial_loss(logits, is_real=is_real, kind=kind).item() == pytest.approx(expected, rel=1e-5)


def test_covered_l1_loss_counts_marked_pixels_only() -> None:
    image, target = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    target[..., 0, 0] = 0.25
    coverage = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert covered_l1_loss(image, target, coverage).item() == pytest.approx(0.25)
    assert covered_l1_loss(image, target, torch.zeros_like(coverage)).item() == 0


def test_l1_loss_is_the_mean_absolute_difference() -> None:
    assert l1_loss(torch.tensor([1.0, -1.0]), torch.tensor([0.5, -1.0])).item() == pytest.approx(0.25)
