"""Thinning, following and drawing of lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from training.linework import GROWTH_STEPS, MAX_LINE_WIDTH, draw_lines, grown, stroke, thin, without_specks


def _ridge(angle_degrees: float, side: int = 64, spread_px: float = 2.0) -> tuple[Tensor, Tensor]:
    """A blurred line through the middle, (1, 1, S, S), and the distance of each pixel from it."""
    y, x = torch.meshgrid(torch.arange(side) - side / 2 + 0.3, torch.arange(side) - side / 2 + 0.3, indexing="ij")
    turn = torch.deg2rad(torch.tensor(angle_degrees))
    distance = (torch.sin(turn) * x - torch.cos(turn) * y).abs()
    return torch.exp(-((distance / spread_px) ** 2))[None, None], distance


@pytest.mark.parametrize("angle", [0, 17, 30, 45, 71, 90, 118, 135, 160])
def test_thinning_keeps_the_middle_of_a_line_in_every_direction(angle: float) -> None:
    boundary, distance = _ridge(angle)
    kept = thin(boundary)[0, 0] > 0
    inner = kept[8:-8, 8:-8]
    assert distance[8:-8, 8:-8][inner].max() <= 1.0
    along = 48 / max(abs(np.cos(np.deg2rad(angle))), abs(np.sin(np.deg2rad(angle))))
    assert inner.sum() >= 0.6 * along


def test_thinning_keeps_values_and_leaves_other_pixels_empty() -> None:
    boundary, _ = _ridge(30)
    ridges = thin(boundary)
    is_kept = ridges > 0
    assert torch.equal(ridges[is_kept], boundary[is_kept])
    assert is_kept.float().mean() < 0.06


def test_thinning_takes_every_picture_of_a_batch_on_its_own() -> None:
    first, second = _ridge(20)[0], _ridge(100)[0]
    both = thin(torch.cat([first, second]))
    torch.testing.assert_close(both, torch.cat([thin(first), thin(second)]))


def test_what_hangs_together_with_a_seed_is_kept_as_far_as_it_grows() -> None:
    allowed = torch.zeros(1, 1, 5, 60)
    allowed[..., 2, 5:50] = 1
    allowed[..., 0, 5:50] = 1
    seeds = torch.zeros_like(allowed)
    seeds[..., 2, 10] = 1
    kept = grown(seeds > 0, allowed > 0)
    assert kept[0, 0, 2].nonzero().flatten().tolist() == list(range(5, 10 + GROWTH_STEPS + 1))
    assert not kept[0, 0, 0].any()


def test_specks_are_dropped_and_short_strokes_are_not() -> None:
    line = torch.zeros(2, 1, 40, 40)
    line[0, 0, 5, 5:10] = 1  # five pixels: a speck
    line[0, 0, 5, 20:26] = 1  # six are a stroke
    line[0, 0, range(20, 26), range(8, 14)] = 1  # aslant too
    line[1, 0, 30:36, 12] = 1
    line[1, 0, 38:40, 38:40] = 1
    kept = without_specks(line)
    assert kept[0].sum() == 12
    assert not kept[0, 0, 5, 5:10].any()
    assert kept[1].sum() == 6
    assert torch.equal(kept[1, 0, 30:36, 12], torch.ones(6))


@pytest.mark.parametrize("width", [1.0, 2.0, 3.0, 5.0, float(MAX_LINE_WIDTH)])
def test_stroke_has_the_width_of_the_pen(width: float) -> None:
    line = torch.zeros(1, 1, 32, 32)
    line[..., 16, :] = 1
    ink = stroke(line, torch.full((1, 1, 1, 1), width))
    assert ink[0, 0, :, 16].sum() == pytest.approx(width)
    assert ink.max() == 1
    assert ink.min() == 0


def test_stroke_is_round() -> None:
    dot = torch.zeros(1, 1, 21, 21)
    dot[..., 10, 10] = 1
    ink = stroke(dot, torch.full((1, 1, 1, 1), 6.0))[0, 0]
    torch.testing.assert_close(ink, ink.T)
    torch.testing.assert_close(ink, ink.flip(0))
    assert ink[10, 13] > 0
    assert ink[13, 13] == 0  # 4.2 pixels away


def test_more_detail_draws_fainter_lines_and_less_draws_fewer() -> None:
    strong, faint = _ridge(0, spread_px=1.5)[0], 0.4 * _ridge(90, spread_px=1.5)[0]
    boundary = torch.maximum(strong, faint)
    ink = [draw_lines(boundary, torch.full((1, 1, 1, 1), d), torch.full((1, 1, 1, 1), 1.0)) for d in (0.0, 1.0)]
    column = 32 - 1
    assert ink[0][0, 0, 5:25, column - 3 : column + 4].max() == 0
    assert ink[1][0, 0, 5:25, column - 3 : column + 4].max() == 1
