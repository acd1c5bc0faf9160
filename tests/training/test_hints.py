"""Colour hints: their share, their colours, and pictures that were recoloured."""

import pytest
import torch
from torch import Tensor

from training.config import HintConfig
from training.hints import HintSampler, _paint


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


def test_every_new_colour_is_asked_for_by_a_dab() -> None:
    """A picture of four fields: what moved has a dab within it, unless it had come to look like another field."""
    corner = [(row, column) for row in (8, 32) for column in (8, 32)]
    targets = torch.ones(64, 3, 64, 64)
    for (row, column), color in zip(
        corner, ([-0.8, -0.8, 0.8], [0.8, -0.8, -0.8], [-0.8, 0.8, -0.8], [0.8, 0.8, -0.8]), strict=True
    ):
        targets[:, :, row : row + 24, column : column + 24] = torch.tensor(color).reshape(3, 1, 1)
    config = HintConfig(enabled=True, none_share=0.0, recolor_share=1.0, max_dabs=12)
    new_targets, hints = HintSampler(config)(targets.clone(), torch.Generator().manual_seed(5))
    moved = (new_targets - targets).abs().amax(dim=1) > 0.5
    fields = [(slice(None), slice(row, row + 24), slice(column, column + 24)) for row, column in corner]
    counts = torch.stack([moved[field].flatten(1).float().mean(dim=1) > 0.5 for field in fields])  # (4, N)
    dabbed = torch.stack([(hints[:, 3][field] > 0).flatten(1).any(dim=1) for field in fields])
    one_hue_turned = counts.sum(dim=0) == 4  # the whole picture
    assert (counts.sum(dim=0) > 1).sum() > 10  # several colours in one picture
    assert one_hue_turned.sum() < 20
    asked = counts & ~one_hue_turned
    assert (asked & dabbed).sum() >= 0.9 * asked.sum()


def test_white_things_can_be_coloured_and_paper_cannot() -> None:
    targets = torch.ones(64, 3, 64, 64)
    targets[:, :, 12:52, 12:52] = -0.6  # a dark frame
    targets[:, :, 15:49, 15:49] = 1.0  # around white
    config = HintConfig(enabled=True, none_share=0.0, recolor_share=1.0, max_dabs=12)
    new_targets, _ = HintSampler(config)(targets, torch.Generator().manual_seed(6))
    moved = (new_targets - targets).abs().amax(dim=1) > 0.1
    assert not moved[:, :12].any()
    assert moved[:, 15:49, 15:49].flatten(1).all(dim=1).sum() > 8


def test_same_seed_gives_the_same_hints() -> None:
    assert torch.equal(_draw(3)[2], _draw(3)[2])
    assert not torch.equal(_draw(3)[2], _draw(4)[2])


@pytest.mark.parametrize("size", [32, 256])
def test_strokes_are_whole(size: int) -> None:
    """Beside a test of every pixel against every stroke, where nobody is careful to keep inside a colour."""
    target = torch.zeros(3, 3, size, size)  # one colour: a careful hand may paint everywhere
    centers = torch.rand(3, 6, 2) * (size - 1)
    used = torch.arange(6) < torch.tensor([[6], [2], [0]])
    hints = _paint(target, centers, used, torch.Generator().manual_seed(7))
    again = torch.Generator().manual_seed(7)
    radius = ((2 + 12 * torch.rand(3, 6, generator=again).square()) * size / 256).clamp(min=0.8)
    length = torch.rand(3, 6, generator=again).square() * 40 * size / 256
    angle = torch.rand(3, 6, generator=again) * (2 * torch.pi)
    direction = torch.stack([torch.sin(angle), torch.cos(angle)], dim=-1) * length[..., None]
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    away = torch.stack([rows, columns], dim=-1) - centers[:, :, None, None]  # (N, K, S, S, 2)
    along = direction[:, :, None, None]
    share = ((away * along).sum(dim=-1) / along.square().sum(dim=-1).clamp(min=1e-6)).clamp(0, 1)
    distance = (away - share[..., None] * along).norm(dim=-1)
    brushes = (radius[..., None, None] - distance + 0.5).clamp(0, 1) * used[..., None, None]
    torch.testing.assert_close(hints[:, 3], 1 - (1 - brushes).prod(dim=1), rtol=1e-3, atol=1e-3)
