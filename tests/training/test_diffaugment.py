"""Discriminator augmentation: it changes pictures, lets gradients through, and leaves a condition's values alone."""

import pytest
import torch

from training.config import DiscriminatorAugment
from training.diffaugment import diffaugment

KINDS = list(DiscriminatorAugment)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_change_and_a_seed_repeats_the_change(kind: DiscriminatorAugment) -> None:
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    torch.manual_seed(0)
    first = diffaugment(images, [kind])
    torch.manual_seed(0)
    assert torch.equal(first, diffaugment(images, [kind]))
    assert first.shape == images.shape
    assert (first != images).flatten(1).any(dim=1).all()
    assert not torch.allclose(first[:1] - images[:1], first[1:2] - images[1:2])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_flow_through(kind: DiscriminatorAugment) -> None:
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    torch.manual_seed(0)
    diffaugment(images, [kind]).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_no_kind_changes_nothing() -> None:
    images = torch.randn(2, 3, 8, 8)
    assert diffaugment(images, ()) is images


def test_color_leaves_the_condition_beside_the_picture() -> None:
    images = torch.randn(3, 5, 8, 8)
    changed = diffaugment(images, [DiscriminatorAugment.COLOR])
    assert torch.equal(changed[:, :2], images[:, :2])
    assert (changed[:, 2:] != images[:, 2:]).any()


@pytest.mark.parametrize("kind", [DiscriminatorAugment.TRANSLATION, DiscriminatorAugment.CUTOUT])
def test_condition_and_picture_move_together(kind: DiscriminatorAugment) -> None:
    one = torch.rand(3, 1, 32, 32) + 1
    changed = diffaugment(one.expand(-1, 5, -1, -1), [kind])
    assert (changed == changed[:, :1]).all()


def test_translation_moves_by_at_most_an_eighth() -> None:
    torch.manual_seed(0)
    images = torch.ones(64, 1, 32, 32)
    lost = (diffaugment(images, [DiscriminatorAugment.TRANSLATION]) == 0).float()
    rows, columns = lost.amin(dim=3).sum(dim=(1, 2)), lost.amin(dim=2).sum(dim=(1, 2))
    assert rows.max() == columns.max() == 4
    assert rows.min() == columns.min() == 0


def test_cutout_empties_at_most_a_quarter_in_one_box() -> None:
    torch.manual_seed(0)
    emptied = diffaugment(torch.ones(64, 3, 32, 32), [DiscriminatorAugment.CUTOUT])[:, 0] == 0
    areas = emptied.sum(dim=(1, 2))
    assert areas.max() == 16 * 16
    assert areas.min() >= 8 * 8  # the centre is inside the picture
    sides = emptied.any(dim=2).sum(dim=1) * emptied.any(dim=1).sum(dim=1)
    assert torch.equal(sides, areas)
