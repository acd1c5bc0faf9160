"""Last, averaged and best weights of a run: opened, judged side by side, exported, and told apart in what is written."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch
from lightning_fabric import Fabric
from onnx import numpy_helper
from typer.testing import CliRunner

from tests.training.conftest import TINY_CINN, TINY_CVAE, TINY_EDGES, BuildConfig
from tests.training.synthetic import make_dataset
from training.__main__ import app
from training.evaluate import read_evaluation
from training.families import FAMILIES
from training.judge import judge, judged
from training.offers import offers
from training.report import write_report
from training.run import Run, RunError
from training.session import Placement, run_training
from training.source import SourceSpec
from training.trained import Weights, open_states, open_trained

CPU = Placement(accelerator="cpu")
KEY = "last.convolution.1.weight"


@pytest.fixture
def run(tmp_path: Path, tiny_config: BuildConfig) -> Run:
    """Trained on squares with its best weights kept, which are then dated back to 4 of 8 images and made half as large."""
    make_dataset(tmp_path / "data")
    loop = {"keep_best": "l1", "validate_every_images": 4}
    run_training(tiny_config(optimizer={"total_images": 8}, loop=loop), tmp_path / "run", CPU)
    run = Run.open(tmp_path / "run")
    state = torch.load(run.best, weights_only=True)
    networks = {name: value * 0.5 if name.endswith(KEY) else value for name, value in state["networks"].items()}
    best = {"metric": "l1", "value": 0.25, "images": 4, "stale": 1}
    run.save_best({**state, "networks": networks, "images": 4, "best": best})
    return run


@pytest.mark.parametrize(("weights", "name"), [(Weights.AVERAGE, "average"), (Weights.LAST, "generator")])
def test_weights_that_are_asked_for_are_opened(weights: Weights, name: str, run: Run) -> None:
    trained = open_trained(run.root, weights=weights)
    expected = run.load_checkpoint()["networks"][f"{name}.{KEY}"]
    served = trained.exportables[""].module.state_dict()[f"generator.{KEY}"]
    assert torch.equal(served, expected)
    assert (trained.weights, trained.images, trained.best) == (weights, 8, None)


def test_best_weights_are_served_where_a_run_keeps_them(run: Run) -> None:
    trained = open_trained(run.root)
    expected = torch.load(run.best, weights_only=True)["networks"][f"average.{KEY}"]
    assert torch.equal(trained.exportables[""].module.state_dict()[f"generator.{KEY}"], expected)
    assert (trained.weights, trained.images) == (Weights.BEST, 4)
    assert trained.weights_words == "averaged weights, the best by l1 while training, after"


def test_run_that_keeps_no_best_has_two_kinds_of_weights(run: Run) -> None:
    run.best.unlink()
    assert [trained.weights for trained in open_states(run.root)] == [Weights.AVERAGE, Weights.LAST]
    with pytest.raises(RunError, match="no best weights; train with --keep-best METRIC"):
        open_trained(run.root, weights=Weights.BEST)


@pytest.mark.parametrize("name", FAMILIES)
def test_raw_weights_of_every_family_are_not_the_averaged_ones(name: str, tiny_config: BuildConfig, fabric: Fabric) -> None:
    resnet = {"base_channels": 8, "max_channels": 32, "residual_blocks": 1}
    cyclegan = {"generator": None, "resnet": resnet}
    sections = {"cyclegan": cyclegan, "edges": TINY_EDGES, "cinn": TINY_CINN, "cvae": TINY_CVAE}.get(name, {})
    photo, gray = SourceSpec("photo", 3), SourceSpec("gray")
    sources = {"cyclegan": photo, "colorizer": gray, "edges": photo, "cinn": gray, "cvae": gray}
    source = sources.get(name, SourceSpec("line"))
    family = FAMILIES[name](tiny_config(family=name, **sections), source, fabric)
    prefix = {"cyclegan": "generator_ab.", "edges": "detector.", "cinn": "network.", "cvae": "network."}.get(name, "generator.")
    served = "network." if name in ("edges", "cinn", "cvae") else "generator."
    raw = {key.removeprefix(prefix): value for key, value in family.networks.state_dict().items() if key.startswith(prefix)}
    with torch.no_grad():
        for value in raw.values():
            value.add_(1)
    last, averaged = (next(iter(family.exportables(averaged=is_it).values())).module.state_dict() for is_it in (False, True))
    if name == "edges":  # what is served has its normalisation folded in: compare what no normalisation touches
        raw = {key: value for key, value in raw.items() if key.startswith(("sides.", "fusion."))}
    assert raw
    assert all(torch.equal(last[f"{served}{key}"], value) for key, value in raw.items())
    assert not any(torch.equal(averaged[f"{served}{key}"], value) for key, value in raw.items())


def test_figures_of_all_weights_lie_side_by_side(run: Run) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(run.root)])
    assert result.exit_code == 0, result.output
    for word in ("average", "last", "best", "is served"):
        assert word in result.output
    evaluation = read_evaluation(run.root)
    assert evaluation is not None
    assert [(state.weights, state.images) for state in evaluation.states] == [("best", 4), ("average", 8), ("last", 8)]
    assert (evaluation.weights, evaluation.images) == ("best", 4)
    assert evaluation.figures == evaluation.states[0].figures
    assert len({state.figures[0].values["l1"] for state in evaluation.states}) == 3
    page = write_report(run.root).read_text("utf-8")
    assert "<td>best (served)</td><td>4</td>" in page
    assert "<td>last</td><td>8</td>" in page
    assert "weights of the last step, not averaged, after 8 images" in evaluation.states[2].figures[0].protocol


def test_figures_that_were_measured_are_found_again(run: Run) -> None:
    served, *others = open_states(run.root)
    judge(served, others=others)
    stamp = (run.root / "evaluation.json").stat().st_mtime_ns
    for trained in (served, *others):
        found = judged(trained)
        assert (found.weights, found.images) == (trained.weights, trained.images)
        assert trained.weights_words in found.figures[0].protocol
    assert (run.root / "evaluation.json").stat().st_mtime_ns == stamp


def test_figures_of_before_there_were_several_weights_are_read(run: Run) -> None:
    average = open_trained(run.root, weights=Weights.AVERAGE)
    expected = judge(average)
    old = {key: value for key, value in expected.model_dump().items() if key not in ("weights", "states")}
    (run.root / "evaluation.json").write_text(json.dumps(old), "utf-8")
    assert judged(average).figures == expected.figures
    assert not json.loads((run.root / "evaluation.json").read_text("utf-8")).get("states")  # not measured again


def test_export_serves_the_best_and_says_so(run: Run) -> None:
    run.note_rollback(4, (1.0, 0.5), "After 6 images l1 is not finite")
    to = run.root.parent / "models"
    result = CliRunner().invoke(app, ["export", str(run.root), "--to", str(to)])
    assert result.exit_code == 0, result.output
    manifest = json.loads((to / "tiny" / "manifest.json").read_text("utf-8"))
    assert manifest["training"]["config"]["weights"] == {"kind": "best", "metric": "l1", "value": 0.25}
    assert manifest["training"]["seen_images"] == 4
    expected = open_trained(run.root).exportables[""].module.state_dict()[f"generator.{KEY}"].half()
    graph = onnx.load(to / "tiny" / "model.onnx").graph
    assert any(torch.equal(torch.from_numpy(numpy_helper.to_array(w).copy()).half(), expected) for w in graph.initializer)
    card = (to / "tiny" / "README.md").read_text("utf-8")
    assert "running average where, while training, the held-out figure 'L1' was best" in card
    assert "after 4 images: `learning_rate_scale` from 1.0 to 0.5. After 6 images l1 is not finite, so training went" in card


@pytest.mark.parametrize("weights", Weights)
def test_every_kind_of_weights_is_offered_under_its_name(weights: Weights, run: Run) -> None:
    trained = open_trained(run.root, weights=weights)
    (offer,) = offers(trained, judged(trained))
    assert offer.labelling.config["weights"]["kind"] == weights
    assert offer.exportable is trained.exportables[""]
    assert trained.weights_words in offer.evaluation.figures[0].protocol


def test_other_weights_are_refused(run: Run) -> None:
    result = CliRunner().invoke(app, ["export", str(run.root), "--weights", "newest"])
    assert "--weights is 'newest'; give average, last, best." in str(result.exception)


def test_rollbacks_are_told_by_the_report(run: Run) -> None:
    run.note_rollback(4, (1.0, 0.5), "After 6 images l1 is not finite")
    page = write_report(run.root).read_text("utf-8")
    assert "After 4 images: learning_rate_scale from 1.0 to 0.5 (rollback: After 6 images l1 is not finite)" in page


def test_command_keeps_the_best_and_tells_how_a_run_ended(tmp_path: Path, tiny_config: BuildConfig) -> None:
    make_dataset(tmp_path / "data")
    values = tiny_config(loop={"early_stop_patience": 0}, optimizer={"total_images": 4}).model_dump(mode="json")
    text = "\n".join(
        [f'name = "tiny"\ndata = "{tmp_path / "data"}"']
        + [
            f"[{section}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in values[section].items())
            for section in ("generator", "discriminator", "optimizer", "augment")
        ]
    )
    (tmp_path / "tiny.toml").write_text(text, "utf-8")
    command = ["train", str(tmp_path / "tiny.toml"), "--run", str(tmp_path / "run"), "--accelerator", "cpu"]
    result = CliRunner().invoke(app, [*command, "--keep-best", "ssim"])
    assert result.exit_code == 0, result.output
    assert "Best ssim:" in result.output
    assert "after 4 images" in result.output
    config = Run.open(tmp_path / "run").config()
    assert (config.loop.keep_best, config.loop.validate_every_images) == ("ssim", 2000)
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
