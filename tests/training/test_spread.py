"""Colour hints that run to the lines."""

import pytest
import torch
from torch import Tensor

from training.spread import CELL_PX, SPREAD_STEPS, UNDER_STEPS, spread_hints

RED, GREEN = (0.8, -0.8, -0.8), (-0.8, 0.8, -0.8)


def _paper(side: int = 64) -> tuple[Tensor, Tensor]:
    """An empty sheet and no hints."""
    return torch.ones(1, 1, side, side), torch.zeros(1, 4, side, side)


def _dab(hints: Tensor, row: int, column: int, color: tuple[float, float, float], side: int = 4) -> None:
    hints[0, :3, row : row + side, column : column + side] = torch.tensor(color).reshape(3, 1, 1)
    hints[0, 3, row : row + side, column : column + side] = 1.0


def _color_at(spread: Tensor, row: int, column: int) -> list[float]:
    return [round(value, 3) for value in spread[0, :3, row, column].tolist()]


def test_nothing_comes_of_nothing() -> None:
    assert not spread_hints(*_paper()).any()


def test_dab_fills_the_part_that_it_lies_in_and_no_other() -> None:
    lines, hints = _paper()
    lines[:, :, :, 30:34] = -1.0  # a wall from top to bottom
    _dab(hints, 8, 8, RED)
    _dab(hints, 48, 52, GREEN)
    spread = spread_hints(lines, hints)
    assert spread.shape == (1, 4, 64, 64)
    for row in range(0, 64, 4):
        assert _color_at(spread, row, 2) == list(RED)
        assert _color_at(spread, row, 60) == list(GREEN)


def test_line_takes_the_colour_of_its_side() -> None:
    lines, hints = _paper()
    lines[:, :, :, 28:36] = -1.0
    _dab(hints, 8, 8, RED)
    _dab(hints, 48, 52, GREEN)
    spread = spread_hints(lines, hints)
    assert _color_at(spread, 32, 28) == _color_at(spread, 32, 2)
    assert _color_at(spread, 32, 35) == _color_at(spread, 32, 60)
    hints[0, :, 48:] = 0
    alone = spread_hints(lines, hints)
    assert _color_at(alone, 32, 33) == _color_at(alone, 32, 2), "all of an outline, where nothing lies without"
    assert not alone[0, :, :, 38:].any(), "and the other side nothing but what sampling between squares leaves"


def test_colour_stays_in_a_line_that_is_broader_than_a_pen() -> None:
    lines, hints = _paper()
    lines[:, :, :, 16:] = -1.0
    _dab(hints, 8, 8, RED)
    spread = spread_hints(lines, hints)
    assert _color_at(spread, 8, 16 + CELL_PX * UNDER_STEPS - 3) == list(RED)
    assert not spread[0, :, :, 16 + CELL_PX * (UNDER_STEPS + 1) :].any()


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_slanting_line_holds_whatever_its_width(width: int) -> None:
    lines, hints = _paper()
    steps = torch.arange(64)
    for offset in range(width):
        lines[:, :, steps[: 64 - offset], steps[offset:]] = -1.0
    _dab(hints, 48, 4, RED)
    spread = spread_hints(lines, hints)
    assert spread[0, 3, 60, 2] > 0
    assert not spread[0, :, 0:16, 40:64].any()


def test_colours_meet_in_the_middle() -> None:
    lines, hints = _paper()
    _dab(hints, 32, 4, RED)
    _dab(hints, 32, 56, GREEN)
    spread = spread_hints(lines, hints)
    assert _color_at(spread, 32, 24) == list(RED)
    assert _color_at(spread, 32, 40) == list(GREEN)


def test_reach_falls_from_one_to_nothing() -> None:
    side = 4 * CELL_PX * SPREAD_STEPS // 2
    lines, hints = _paper(side)
    _dab(hints, 0, 0, RED)
    reach = spread_hints(lines, hints)[0, 3, 0]
    assert reach[0] == 1
    assert bool((reach[1:] <= reach[:-1]).all())
    assert reach[CELL_PX * SPREAD_STEPS] > 0
    assert reach[CELL_PX * (SPREAD_STEPS + 3)] == 0


def test_gap_in_a_line_lets_colour_through_late() -> None:
    """Which is how the network can tell a leak from a dab of the part's own."""
    lines, hints = _paper()
    lines[:, :, :, 32:36] = -1.0
    lines[:, :, 0:4, 32:36] = 1.0
    _dab(hints, 56, 8, RED)
    spread = spread_hints(lines, hints)
    assert _color_at(spread, 56, 50) == list(RED)
    assert spread[0, 3, 56, 50] < spread[0, 3, 56, 20] / 2


def test_rim_of_a_dab_counts_for_little() -> None:
    lines, hints = _paper()
    hints[0, 3, 8:12, 8:12] = 0.1
    assert not spread_hints(lines, hints).any()


def test_pictures_of_a_batch_do_not_meet() -> None:
    lines, hints = _paper()
    _dab(hints, 8, 8, RED)
    both = spread_hints(lines.repeat(2, 1, 1, 1), torch.cat([hints, torch.zeros_like(hints)]))
    assert torch.equal(both[:1], spread_hints(lines, hints))
    assert not both[1].any()


def test_half_precision_holds_the_colours() -> None:
    """As a runtime may compute; over the longest way, through a corridor and over open paper."""
    side = 4 * CELL_PX * SPREAD_STEPS // 2
    lines, hints = _paper(side)
    lines[:, :, 12:16] = -1.0
    _dab(hints, 0, 0, RED)
    _dab(hints, 100, 100, GREEN)
    full, half = spread_hints(lines, hints), spread_hints(lines.half(), hints.half())
    torch.testing.assert_close(half.float(), full, rtol=0, atol=4e-3)


def test_exported_form_is_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    lines = torch.where(torch.rand(2, 1, 64, 64) < 0.02, -1.0, 1.0)
    coverage = (torch.rand(2, 1, 64, 64) < 0.02).float()
    hints = torch.cat([coverage * (torch.rand(2, 3, 64, 64) * 2 - 1), coverage], dim=1)
    hints = torch.nn.functional.max_pool2d(hints, 5, stride=1, padding=2)
    trained = spread_hints(lines, hints)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert trained[:, 3].amax() > 0
    torch.testing.assert_close(spread_hints(lines, hints), trained)
