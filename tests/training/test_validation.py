"""Held-out figures while a run trains, the best weights by them, and an early end; none of it changes what is learned."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tests.training.conftest import TINY_CINN, TINY_CVAE, TINY_EDGES, BuildConfig, tiny_pairs
from tests.training.synthetic import make_dataset, make_pairs, make_unpaired
from training.batches import PairedBatches
from training.config import ConfigError, LoopConfig, TrainConfig
from training.datasets import PairedDataset
from training.families import FAMILIES
from training.families.pix2pix import Pix2Pix
from training.families.protocol import Exportable
from training.judge import judge
from training.loop import Ending, Outcome, train
from training.material import open_material
from training.record import Witness
from training.report import write_report
from training.run import Run
from training.session import Placement, build_workshop, run_training
from training.source import SourceSpec
from training.trained import open_trained
from training.validation import open_validation
from training.watch import HIGHER_IS_BETTER, Best, judged

LINE = SourceSpec("line")
CPU = Placement(accelerator="cpu")
FORMS: dict[str, dict[str, Any]] = {
    "pix2pix": {},
    "colorizer": {"family": "colorizer"},
    "cyclegan": {
        "family": "cyclegan",
        "generator": None,
        "resnet": {"base_channels": 8, "max_channels": 32, "residual_blocks": 1},
    },
    "edges": {"family": "edges", **TINY_EDGES},
    "cinn": {"family": "cinn", **TINY_CINN},
    "cvae": {"family": "cvae", **TINY_CVAE},
}
METRICS = {
    "pix2pix": {"l1", "psnr", "ssim"},
    "colorizer": {"l1", "psnr", "ssim", "colorfulness", "true_colorfulness", "lab_intersection"},
    "cyclegan": {"cycle_l1", "identity_l1", "change_l1", "lab_intersection", "lab_intersection_before"},
    "edges": {"line_f", "line_precision", "line_recall"},
    "cinn": {"l1", "psnr", "ssim", "colorfulness", "true_colorfulness", "lab_intersection"},
    "cvae": {"l1", "psnr", "ssim", "colorfulness", "true_colorfulness", "lab_intersection"},
}
KINDS: dict[str, Literal["line", "gray", "photo"]] = {
    "pix2pix": "line",
    "colorizer": "gray",
    "edges": "photo",
    "cinn": "gray",
    "cvae": "gray",
}


def _make(name: str, root: Path) -> None:
    if name == "cyclegan":
        make_unpaired(root)
    else:
        make_dataset(root, KINDS[name])


def _lines(root: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]


def _figures(root: Path) -> list[tuple[float, dict[str, float]]]:
    """Images and figures of every validation."""
    measured = [{name[4:]: value for name, value in line.items() if name.startswith("val/")} for line in _lines(root)]
    return [(line["images"], values) for line, values in zip(_lines(root), measured, strict=True) if values]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_measured_and_learns_alike(name: str, tmp_path: Path, tiny_config: BuildConfig) -> None:
    """The same weights, bit for bit, with validation and without, and figures in metrics and report."""
    _make(name, tmp_path / "data")
    for folder, loop in (("plain", {}), ("measured", {"validate_every_images": 4})):
        run_training(tiny_config(**FORMS[name], loop=loop, optimizer={"total_images": 8}), tmp_path / folder, CPU)
    states = [Run.open(tmp_path / folder).load_checkpoint()["networks"] for folder in ("plain", "measured")]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    figures = _figures(tmp_path / "measured")
    assert [images for images, _ in figures] == [4, 8]
    assert all(set(values) == METRICS[name] for _, values in figures)
    assert not _figures(tmp_path / "plain")
    assert "val/" in write_report(tmp_path / "measured").read_text("utf-8")


@pytest.mark.parametrize("name", FAMILIES)
def test_figures_are_those_of_the_evaluation(name: str, tmp_path: Path, tiny_config: BuildConfig) -> None:
    """Of all held-out pictures, since there are few: what is served is what is measured."""
    _make(name, tmp_path / "data")
    config = tiny_config(**FORMS[name], loop={"validate_every_images": 4}, optimizer={"total_images": 4})
    run_training(config, tmp_path / "run", CPU)
    ((_, values),) = _figures(tmp_path / "run")
    evaluated = [figures.values for figures in judge(open_trained(tmp_path / "run")).figures]
    for metric, value in values.items():
        assert value == pytest.approx(np.mean([figures[metric] for figures in evaluated]), abs=1e-9), metric


def test_pictures_are_few_evenly_spaced_and_the_same(tmp_path: Path, fabric: Fabric) -> None:
    make_dataset(tmp_path / "data")
    held_out = PairedDataset.open(tmp_path / "data", "val")
    pairs = make_pairs("line", 9)
    many = PairedDataset(held_out.info, "val", tuple(pairs.names), pairs.source, pairs.target)
    asked = _Asked()
    validate = open_validation(asked, many, LoopConfig(validate_every_images=1, validate_images=3), fabric.device)  # type: ignore[arg-type]
    assert validate is not None
    assert validate() == validate()
    assert len(asked.seen) == 2
    np.testing.assert_array_equal(asked.seen[0], pairs.source[[0, 4, 8]])


def test_torchs_random_numbers_are_left_alone(tmp_path: Path, tiny_config: BuildConfig) -> None:
    _make("pix2pix", tmp_path / "data")
    config = tiny_config(loop={"validate_every_images": 1})
    material = open_material(config.data, "paired", "pix2pix")
    workshop = build_workshop(config, material.source, CPU)
    validate = open_validation(workshop.family, material.held_out, config.loop, workshop.fabric.device)
    assert validate is not None
    before = torch.get_rng_state()
    validate()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "metric", "known"),
    [
        ("pix2pix", "fid", "l1, psnr, ssim."),
        ("pix2pix", "cycle_l1", "l1, psnr, ssim."),
        ("colorizer", "colorfulness", "l1, psnr, ssim, lab_intersection."),
        ("cyclegan", "ssim", "lab_intersection, cycle_l1, identity_l1."),
    ],
)
def test_unknown_figure_is_refused_before_anything_is_written(
    name: str, metric: str, known: str, tmp_path: Path, tiny_config: BuildConfig
) -> None:
    _make(name, tmp_path / "data")
    with pytest.raises(ConfigError, match=rf"'loop\.keep_best' has value '{metric}'; of this run .* one of {known}"):
        run_training(tiny_config(**FORMS[name], loop={"keep_best": metric}), tmp_path / "run", CPU)
    assert not (tmp_path / "run").exists()


def test_best_is_measured_as_often_as_samples_unless_told(tiny_config: BuildConfig) -> None:
    assert tiny_config(loop={"keep_best": "ssim"}).loop.validate_every_images == 1000  # sample_every_images of tiny_config
    assert tiny_config(loop={"keep_best": "ssim", "validate_every_images": 7}).loop.validate_every_images == 7
    assert tiny_config().loop.validate_every_images == 0
    with pytest.raises(ConfigError, match=r"'loop.keep_best' has value 'ssim': nothing is measured"):
        tiny_config(loop={"keep_best": "ssim", "validate_every_images": 0})
    with pytest.raises(ConfigError, match=r"'loop.early_stop_patience' has value 3: it waits for a better figure"):
        tiny_config(loop={"early_stop_patience": 3})


@pytest.mark.parametrize("metric", HIGHER_IS_BETTER)
def test_better_is_what_the_figure_says(metric: str) -> None:
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    best = None
    for images, value in enumerate((1.0, 3.0, 2.0, 3.0, float("nan"))):
        best = judged(best, metric, sign * value, images)
    assert best == Best(metric, sign * 3.0, images=1, stale=3)
    assert [best.is_exhausted(patience) for patience in (0, 3, 4)] == [False, True, False]
    assert judged(best, "another", 9.0, 7) == Best("another", 9.0, 7)
    assert judged(None, metric, float("nan"), 0) is None


def test_best_weights_are_kept_with_their_figure(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = tiny_config(loop={"keep_best": "ssim", "validate_every_images": 2})
    outcome, weights = _train(config, tmp_path, fabric, [0.1, 0.5, 0.4, 0.5, 0.3, 0.2, 0.1, 0.4])
    assert outcome.best == Best("ssim", 0.5, images=4, stale=6)
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert (best["images"], best["best"]["value"]) == (4, 0.5)
    assert all(torch.equal(value, best["networks"][name]) for name, value in weights[4].items())
    assert outcome.ending is Ending.COMPLETE


def test_run_ends_when_it_gets_no_better_and_says_so(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = tiny_config(loop={"keep_best": "l1", "validate_every_images": 2, "early_stop_patience": 2})
    values = [0.5, 0.3, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1]
    outcome, _ = _train(config, tmp_path, fabric, values)
    assert (outcome.images, outcome.ending, outcome.is_complete) == (8, Ending.NO_BETTER, False)
    words = outcome.words(tmp_path)
    assert "Ended early after 8 images" in words
    assert "its last 2 validations were no better" in words
    assert "Best l1: 0.3 after 4 images" in words
    again, _ = _train(config, tmp_path, fabric, values)
    assert again.images == again.begun_at == 8
    assert "Nothing was trained: the run had ended after 8 images" in again.words(tmp_path)
    assert "early_stop_patience" in again.words(tmp_path)
    patient = config.model_copy(update={"loop": config.loop.model_copy(update={"early_stop_patience": 0})})
    assert _train(patient, tmp_path, fabric, values)[0].ending is Ending.COMPLETE


def test_patience_and_best_survive_a_resume(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    """A run that is stopped between validations ends where an unbroken one ends, with the same weights and best."""
    loop = {"keep_best": "l1", "validate_every_images": 4, "early_stop_patience": 2}
    config = tiny_config(loop=loop, optimizer={"total_images": 40})
    values = [0.5, 0.3, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]
    whole, _ = _train(config, tmp_path / "whole", fabric, values)
    stopped, _ = _train(config, tmp_path / "broken", fabric, values, stop_at=14)
    assert (stopped.images, stopped.ending, stopped.best) == (14, Ending.ASKED, Best("l1", 0.3, images=8, stale=1))
    resumed, _ = _train(config, tmp_path / "broken", fabric, values)
    assert (resumed.images, resumed.ending, resumed.best) == (whole.images, whole.ending, whole.best)
    assert (resumed.images, resumed.ending) == (16, Ending.NO_BETTER)
    for name in ("last", "best"):
        states = [torch.load(tmp_path / run / "checkpoints" / f"{name}.ckpt", weights_only=True) for run in ("whole", "broken")]
        assert states[0]["best"] == states[1]["best"]
        assert all(torch.equal(value, states[1]["networks"][key]) for key, value in states[0]["networks"].items())
    assert _figures(tmp_path / "whole") == _figures(tmp_path / "broken")


def test_resumed_real_run_equals_an_unbroken_one(tmp_path: Path, tiny_config: BuildConfig) -> None:
    """With figures that are measured, not told."""
    _make("pix2pix", tmp_path / "data")
    loop = {"keep_best": "l1", "validate_every_images": 4, "early_stop_patience": 9}
    config = tiny_config(loop=loop, optimizer={"accumulate": 2})
    run_training(config, tmp_path / "whole", CPU)
    _stop_half_way(config, tmp_path / "broken")
    run_training(config, tmp_path / "broken", CPU)
    states = [Run.open(tmp_path / name).load_checkpoint() for name in ("whole", "broken")]
    assert states[0]["best"] == states[1]["best"] is not None
    assert all(torch.equal(value, states[1]["networks"][key]) for key, value in states[0]["networks"].items())
    assert _figures(tmp_path / "whole") == _figures(tmp_path / "broken")


def test_best_of_another_run_in_the_folder_is_dropped(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = tiny_config(loop={"keep_best": "l1", "validate_every_images": 2})
    _train(config, tmp_path, fabric, [0.1] * 8)
    (tmp_path / "checkpoints" / "last.ckpt").unlink()
    _train(tiny_config(), tmp_path, fabric, [])
    assert not (tmp_path / "checkpoints" / "best.ckpt").exists()


def _train(
    config: TrainConfig, root: Path, fabric: Fabric, values: list[float], stop_at: int = -1
) -> tuple[Outcome, dict[int, dict[str, torch.Tensor]]]:
    """A run whose figures are told by how many images it has seen; Ctrl-C comes while `stop_at` is reached."""
    torch.manual_seed(config.seed)
    family = Pix2Pix(config, LINE, fabric)
    batches = PairedBatches(*tiny_pairs(5), config, LINE, device=torch.device("cpu"))
    every = config.loop.validate_every_images
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def validate() -> Mapping[str, float]:
        images = int(family.networks["average"].images_seen)  # type: ignore[arg-type]
        seen[images] = {name: value.clone() for name, value in family.networks.state_dict().items()}
        return {str(config.loop.keep_best): values[images // every - 1]}

    asked = _Interrupting(batches.batch, stop_at - config.optimizer.batch_size)
    return train(family, asked, config, Run.create(root, config), Witness(validate=validate)), seen


class _Interrupting:
    """Batches that press Ctrl-C while the step at a position runs."""

    def __init__(self, batch: Callable[[int], Any], position: int) -> None:
        self._batch, self._position = batch, position

    def batch(self, position: int) -> Any:
        if position == self._position:
            os.kill(os.getpid(), signal.SIGINT)
        return self._batch(position)


def _stop_half_way(config: TrainConfig, root: Path) -> None:
    """Ctrl-C in the second of four steps."""
    material = open_material(config.data, "paired", config.family)
    workshop = build_workshop(config, material.source, CPU)
    validate = open_validation(workshop.family, material.held_out, config.loop, workshop.fabric.device)
    batches = _Interrupting(material.batches(config, workshop.fabric).batch, 6)
    outcome = train(workshop.family, batches, config, Run.create(root, config), Witness(validate=validate))
    assert outcome.images == 8


class _Asked:
    """A family whose graph notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def exportables(self) -> dict[str, Exportable]:
        return {"": Exportable(_Note(self.seen), ("image",), None)}


class _Note(torch.nn.Module):
    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self._seen = seen

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self._seen.append(image.numpy())
        return image.expand(-1, -1, -1, 3)
