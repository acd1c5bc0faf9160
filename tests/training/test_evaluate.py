"""Evaluation: figures that are right on known pictures, the same each time, and hints that lie where they should."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.training.conftest import BuildConfig
from tests.training.synthetic import SIDE, make_dataset
from training.config import HintConfig, TrainConfig
from training.datasets import DatasetError, PairedDataset
from training.encoding import encode_hints, encode_picture
from training.evaluate import read_evaluation
from training.families.protocol import Exportable
from training.figures import Trial, measure, trials
from training.hints import HintSampler
from training.judge import judge
from training.run import Run
from training.session import Placement, run_training
from training.trained import TrainedRun, open_trained


class _Echo(nn.Module):
    """Answers with its input, and with the hint where there is one."""

    def forward(self, image: Tensor, *hints: Tensor) -> Tensor:
        picture = image.expand(-1, -1, -1, 3)
        return torch.where(hints[0][..., 3:] > 0, hints[0][..., :3], picture) if hints else picture


@pytest.fixture
def dataset(tmp_path: Path) -> PairedDataset:
    make_dataset(tmp_path / "data")
    return PairedDataset.open(tmp_path / "data", "val")


def _trained(tmp_path: Path, config: TrainConfig, names: tuple[str, ...]) -> TrainedRun:
    info = make_dataset(tmp_path / "data")
    run = Run.create(tmp_path / "run", config)
    return TrainedRun(run, config, tmp_path / "data", info, 100, {"": Exportable(_Echo(), names, None)})


def _trial(target: np.ndarray) -> Trial:  # type: ignore[type-arg]
    return Trial("plain", "", {}, target)


def test_figures_of_equal_pictures_are_perfect(dataset: PairedDataset) -> None:
    figures = measure(_trial(dataset.target), dataset.target.copy(), "same")
    assert (figures.values["l1"], figures.values["ssim"]) == (0.0, 1.0)
    assert figures.pairs == 5


def test_figures_of_a_known_difference() -> None:
    target = np.full((6, SIDE, SIDE, 3), 100, np.uint8)
    figures = measure(_trial(target), target + 51, "a fifth brighter")
    assert figures.values["l1"] == pytest.approx(0.2)
    assert figures.values["psnr"] == pytest.approx(-20 * np.log10(0.2), abs=1e-3)  # rounded to four digits


def test_figures_are_means_over_pictures_whatever_the_batches() -> None:
    target = np.zeros((5, SIDE, SIDE, 3), np.uint8)  # one batch of four and one of one
    made = target.copy()
    made[4] = 255
    made[:4] = 1
    assert measure(_trial(target), made, "").values["psnr"] == pytest.approx((4 * 20 * np.log10(255) + 0) / 5, abs=1e-3)


def test_model_without_hints_is_asked_plainly_only(dataset: PairedDataset) -> None:
    assert [trial.name for trial in trials(dataset, has_hints=False, seed=0)] == ["plain"]


def test_hints_show_the_targets_colors(dataset: PairedDataset) -> None:
    plain, own, other = trials(dataset, has_hints=True, seed=0)
    assert not plain.inputs["hints"].any()
    hinted = own.inputs["hints"][..., 3] > 0
    assert hinted.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(own.target, dataset.target)
    changed = (other.target != dataset.target).any(axis=(1, 2, 3))
    assert changed.sum() >= 3  # of 5; where the colour to change is that of the paper, nothing is


def test_hints_are_what_training_saw(dataset: PairedDataset) -> None:
    _, own, _ = trials(dataset, has_hints=True, seed=0)
    encoded = encode_hints(torch.from_numpy(own.inputs["hints"]))
    config = HintConfig(enabled=True, none_share=0.0, recolor_share=0.0, max_dabs=12)
    pictures = encode_picture(torch.from_numpy(dataset.target[:4].copy()))  # the first batch of the trials
    _, drawn = HintSampler(config)(pictures, torch.Generator().manual_seed(0))
    assert (encoded[:4] - drawn).abs().max() < 2.5 / 127.5  # colour and alpha were rounded to bytes on the way
    assert not encoded[:, :3][(encoded[:, 3:] == 0).expand(-1, 3, -1, -1)].any()


def test_trials_are_the_same_for_the_same_seed(dataset: PairedDataset) -> None:
    first, again, another = (list(trials(dataset, has_hints=True, seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[2].inputs["hints"], again[2].inputs["hints"])
    assert (first[2].inputs["hints"] != another[2].inputs["hints"]).any()


def test_evaluate_writes_figures_and_sheet(tmp_path: Path, tiny_config: BuildConfig) -> None:
    trained = _trained(tmp_path, tiny_config(), ("image", "hints"))
    evaluation = judge(trained)
    assert read_evaluation(trained.run.root) == evaluation
    assert [figures.name for figures in evaluation.figures] == ["plain", "hints", "other-hints"]
    assert "squares, split val, all 5 pairs at 32x32; averaged weights after 100 images" in evaluation.figures[0].protocol
    with Image.open(trained.run.root / "evaluation.png") as sheet:
        assert sheet.width > 9 * SIDE  # three pictures for each of three ways of asking


def test_evaluate_names_a_split_that_is_missing(tmp_path: Path, tiny_config: BuildConfig) -> None:
    with pytest.raises(DatasetError, match="no split 'test'"):
        judge(_trained(tmp_path, tiny_config(), ("image",)), split="test")


def test_run_that_was_not_judged_has_no_figures(tmp_path: Path) -> None:
    assert read_evaluation(tmp_path) is None


def test_trained_run_is_opened_with_its_averaged_weights(tmp_path: Path, tiny_config: BuildConfig) -> None:
    make_dataset(tmp_path / "data")
    config = tiny_config(optimizer={"total_images": 4})
    run_training(config, tmp_path / "run", Placement(accelerator="cpu"))
    trained = open_trained(tmp_path / "run")
    average = Run.open(tmp_path / "run").load_checkpoint()["networks"]["average.last.convolution.1.weight"]
    served = dict(trained.exportables[""].module.named_parameters())["generator.last.convolution.1.weight"]
    assert trained.images == 4
    torch.testing.assert_close(served.detach(), average)


def test_a_colouriser_is_judged_under_the_photos_own_luma(tmp_path: Path, tiny_config: BuildConfig) -> None:
    """A module that answers in flat red keeps the light of each photo once composed, and its colour is measured."""
    trained = _trained(tmp_path, tiny_config(), ("image",))
    painted = dataclasses.replace(trained, exportables={"": Exportable(_Red(), ("image",), None, compose="chroma")})
    plain = dataclasses.replace(trained, exportables={"": Exportable(_Red(), ("image",), None)})
    composed, replaced = (judge(run).figures[0].values for run in (painted, plain))
    assert composed["l1"] != replaced["l1"]
    assert composed.keys() - replaced.keys() == {"colorfulness", "true_colorfulness", "lab_intersection"}
    assert 0 <= composed["lab_intersection"] < 1
    assert composed["colorfulness"] > 0


class _Red(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.tensor([200, 40, 40], dtype=torch.uint8).expand(*image.shape[:3], 3)
