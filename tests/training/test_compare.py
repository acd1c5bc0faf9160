"""Comparison of runs: the same figures as `evaluate` gives, in one table, of runs that can be compared."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.training.conftest import BuildConfig
from tests.training.synthetic import FREE, SIDE, make_dataset
from training.compare import COMPARISON_SHEET, FREE_SHEET, Comparison, compare_runs
from training.config import TrainConfig
from training.datasets import DatasetError, Origin
from training.evaluate import SHEET_PAIRS
from training.families.protocol import Exportable
from training.judge import judge
from training.run import Run
from training.sheets import GAP_PX, TITLE_PX
from training.trained import TrainedRun

OWNED = FREE.model_copy(update={"free_samples": False})


class _Tint(nn.Module):
    """Adds red to its input."""

    def __init__(self, amount: int) -> None:
        super().__init__()
        self.register_buffer("tint", torch.tensor([amount, 0, 0], dtype=torch.int32))

    def forward(self, image: Tensor, *_: Tensor) -> Tensor:
        return (image.expand(-1, -1, -1, 3).int() + self.tint).clamp(0, 255).to(torch.uint8)


def _trained(root: Path, data: Path, config: TrainConfig, amount: int, kind: str = "gray", origin: Origin = FREE) -> TrainedRun:
    info = make_dataset(data, kind, origin)
    compose = "chroma" if kind == "gray" else "none"
    exportable = Exportable(_Tint(amount), ("image",), None, compose=compose)
    return TrainedRun(Run.create(root, config), config, data, info, 100 + amount, {"": exportable})


def test_table_holds_each_runs_own_figures_and_those_of_the_gray_photos(tmp_path: Path, tiny_config: BuildConfig) -> None:
    runs = [_trained(tmp_path / f"tint-{amount}", tmp_path / "data", tiny_config(), amount) for amount in (0, 60)]
    comparison = compare_runs(runs, tmp_path / "out")
    gray, plain, red = comparison.entrants
    assert [entrant.name for entrant in comparison.entrants] == ["gray", "tint-0", "tint-60"]
    assert [entrant.images for entrant in comparison.entrants] == [None, 100, 160]
    assert plain.figures.values["l1"] == pytest.approx(gray.figures.values["l1"], abs=0.003)  # no colour was added
    assert red.figures.values == judge(runs[1]).figures[0].values
    assert red.figures.values["colorfulness"] > plain.figures.values["colorfulness"] == pytest.approx(0, abs=0.5)
    assert Comparison.model_validate_json((tmp_path / "out" / "comparison.json").read_text()) == comparison


def test_sheet_has_a_titled_column_for_each_run(tmp_path: Path, tiny_config: BuildConfig) -> None:
    runs = [_trained(tmp_path / f"tint-{amount}", tmp_path / "data", tiny_config(), amount) for amount in (0, 60)]
    pairs = compare_runs(runs, tmp_path / "out").pairs
    with Image.open(tmp_path / "out" / COMPARISON_SHEET) as sheet:
        assert sheet.size == (4 * (SIDE + GAP_PX) + GAP_PX, min(pairs, SHEET_PAIRS) * (SIDE + GAP_PX) + GAP_PX + TITLE_PX)
        assert np.asarray(sheet)[:TITLE_PX].min() < 80  # the titles


def test_pictures_that_may_be_passed_on_have_a_sheet_of_their_own(tmp_path: Path, tiny_config: BuildConfig) -> None:
    runs = [_trained(tmp_path / f"tint-{amount}", tmp_path / "data", tiny_config(), amount) for amount in (0, 60)]
    compare_runs(runs, tmp_path / "out")
    with Image.open(tmp_path / "out" / FREE_SHEET) as sheet:
        assert sheet.size == (3 * (SIDE + GAP_PX) + GAP_PX, 3 * (SIDE + GAP_PX) + GAP_PX + TITLE_PX)
    owned = [_trained(tmp_path / "owned", tmp_path / "owned-data", tiny_config(), 0, origin=OWNED)]
    compare_runs(owned, tmp_path / "owned-out")
    assert not (tmp_path / "owned-out" / FREE_SHEET).exists()


def test_lines_have_no_row_of_gray_photos_and_no_figures_of_colour(tmp_path: Path, tiny_config: BuildConfig) -> None:
    (entrant,) = compare_runs(
        [_trained(tmp_path / "a", tmp_path / "data", tiny_config(), 5, "line")], tmp_path / "out"
    ).entrants
    assert set(entrant.figures.values) == {"l1", "psnr", "ssim"}


def test_runs_of_different_pairs_are_refused(tmp_path: Path, tiny_config: BuildConfig) -> None:
    gray = _trained(tmp_path / "a", tmp_path / "gray", tiny_config(), 0)
    line = _trained(tmp_path / "b", tmp_path / "line", tiny_config(), 0, "line")
    with pytest.raises(DatasetError, match=r"different pairs.*compare runs of one data set"):
        compare_runs([gray, line], tmp_path / "out")
