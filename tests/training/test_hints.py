"""Colour hints: their share, their colours, and pictures that were recoloured."""

import pytest
import torch
from torch import Tensor

from training.config import HintConfig
from training.hints import HintSampler


def _targets(n: int = 16) -> Tensor:
    """White paper with a coloured square in the middle, one colour a picture."""
    targets = torch.ones(n, 3, 64, 64)
    colors = torch.rand(n, 3, 1, 1, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.9
    targets[:, :, 16:48, 16:48] = colors
    return targets


def _draw(seed: int = 0, **options: object) -> tuple[Tensor, Tensor, Tensor]:
    targets = _targets()
    new_targets, hints = HintSampler(HintConfig(enabled=True, **options))(  # type: ignore[arg-type]
        targets, torch.Generator().manual_seed(seed)
    )
    return targets, new_targets, hints


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_share_without_hints_is_kept_at_its_ends(share: float) -> None:
    _, _, hints = _draw(none_share=share)
    has_hint = hints[:, 3].flatten(1).any(dim=1)
    assert has_hint.all() if share == 0 else not has_hint.any()


def test_a_third_has_no_hint_by_default() -> None:
    counts = [float(_draw(seed)[2][:, 3].flatten(1).any(dim=1).float().mean()) for seed in range(30)]
    assert sum(counts) / len(counts) == pytest.approx(2 / 3, abs=0.07)  # 480 draws, 3 standard deviations


def test_hints_hold_the_targets_colour_where_they_lie() -> None:
    _, target, hints = _draw(none_share=0.0, recolor_share=0.0)
    covered = hints[:, 3:] > 0.99  # the soft edge holds colour times coverage
    inside = torch.zeros_like(covered)
    inside[:, :, 22:42, 22:42] = True  # away from the square's edge, where colours mix
    difference = ((hints[:, :3] - target).abs() * (covered & inside)).flatten(1)
    share = (difference > 0.05).float().sum() / (covered & inside).sum()
    assert share < 0.35  # strokes that are not careful may cross into the square


def test_hints_are_zero_where_nothing_is_hinted() -> None:
    _, _, hints = _draw()
    assert not (hints[:, :3] * (hints[:, 3:] == 0)).any()


def test_dabs_have_the_soft_edge_of_a_brush() -> None:
    _, target, hints = _draw(none_share=0.0, recolor_share=0.0)
    coverage = hints[:, 3:]
    partial = (coverage > 0.05) & (coverage < 0.95)
    assert partial.any()
    near_full = torch.nn.functional.max_pool2d(coverage, 5, stride=1, padding=2) > 0.75
    assert (partial <= near_full).float().mean() > 0.99  # an edge of a pixel, not a blur
    assert ((hints[:, :3].abs() <= coverage + 1e-5) | (coverage == 0)).all()  # colour is premultiplied
    assert target.shape == hints[:, :3].shape


def test_recolouring_changes_hinted_pictures_only() -> None:
    before, after, hints = _draw(none_share=0.5, recolor_share=1.0)
    changed = (before - after).abs().flatten(1).amax(dim=1) > 0.02
    hinted = hints[:, 3].flatten(1).any(dim=1)
    assert (changed <= hinted).all()
    assert changed.sum() >= hinted.sum() * 0.8


def test_a_recoloured_picture_has_a_dab_of_its_new_colour() -> None:
    before, after, hints = _draw(none_share=0.0, recolor_share=1.0)
    moved = (before - after).abs().amax(dim=1) > 0.1
    touched = ((hints[:, 3] > 0) & moved).flatten(1).any(dim=1)
    has_moved = moved.flatten(1).any(dim=1)
    assert has_moved.sum() >= 12
    assert (touched | ~has_moved).all()


def test_same_seed_gives_the_same_hints() -> None:
    assert torch.equal(_draw(3)[2], _draw(3)[2])
    assert not torch.equal(_draw(3)[2], _draw(4)[2])
