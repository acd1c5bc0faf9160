"""The loop: schedule, resume, stop, logs, and what it says of a loss that is no number."""

import gc
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor

from tests.training.conftest import BuildConfig, tiny_pairs
from training.batches import PairedBatches
from training.checkpoint import restore
from training.config import ConfigError, TrainConfig
from training.families.pix2pix import Pix2Pix
from training.families.protocol import Batch
from training.guard import DivergedError
from training.loop import learning_rate_factor, settling, train
from training.record import Witness
from training.run import Run, RunError
from training.source import SourceSpec

LINE = SourceSpec("line")


def _parts(config: TrainConfig, fabric: Fabric) -> tuple[Pix2Pix, PairedBatches]:
    torch.manual_seed(config.seed)
    family = Pix2Pix(config, LINE, fabric)
    return family, PairedBatches(*tiny_pairs(5), config, LINE, device=torch.device("cpu"))


def _run(config: TrainConfig, fabric: Fabric, root: Path, witness: Witness | None = None) -> Pix2Pix:
    family, batches = _parts(config, fabric)
    train(family, batches, config, Run.create(root, config), witness)
    return family


@pytest.mark.parametrize(("images", "factor"), [(0, 1.0), (50, 1.0), (75, 0.5), (100, 0.0)])
def test_learning_rate_is_constant_then_linear_to_zero(images: int, factor: float) -> None:
    assert learning_rate_factor(images, total_images=100, decay_start=0.5) == pytest.approx(factor)


def test_learning_rate_rises_where_asked() -> None:
    factors = [learning_rate_factor(images, 100, 0.5, warmup_images=9) for images in (0, 4, 9, 10, 75)]
    assert factors == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.5])


def test_rate_that_would_never_be_reached_is_refused(tiny_config: BuildConfig) -> None:
    with pytest.raises(ConfigError, match=r"'optimizer.warmup_images' has value 16: the rate would never reach its value"):
        tiny_config(optimizer={"warmup_images": 16})


def test_learning_rate_without_decay_stays() -> None:
    assert learning_rate_factor(100, total_images=100, decay_start=1.0) == 1.0


@pytest.mark.parametrize(("has_hints", "colors"), [(False, 0), (True, 0), (False, 2)])
def test_resumed_run_equals_an_unbroken_one(
    has_hints: bool, colors: int, tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric
) -> None:
    scheme = {"colors": colors, "swap_share": 0.5}
    config = tiny_config(hints={"enabled": has_hints}, color_scheme=scheme, augment={"rotation_degrees": 10})
    whole = _run(config, fabric, tmp_path / "whole")
    stopped = _StopAfter(*_parts(config, fabric), steps=3)
    outcome = train(stopped.family, stopped, config, Run.create(tmp_path / "broken", config))
    assert (outcome.images, outcome.is_complete) == (6, False)
    resumed = _run(config, fabric, tmp_path / "broken")
    for name, value in whole.networks.state_dict().items():
        assert torch.equal(value, resumed.networks.state_dict()[name]), name
    assert _losses(tmp_path / "whole") == _losses(tmp_path / "broken")


def test_ctrl_c_ends_with_a_checkpoint_of_where_it_was(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = tiny_config()
    stopped = _StopAfter(*_parts(config, fabric), steps=1)
    train(stopped.family, stopped, config, Run.create(tmp_path, config))
    assert Run.open(tmp_path).load_checkpoint()["images"] == 2


def test_signal_handlers_are_put_back(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    before = signal.getsignal(signal.SIGINT)
    _run(tiny_config(optimizer={"total_images": 2}), fabric, tmp_path)
    assert signal.getsignal(signal.SIGINT) is before


def test_metrics_hold_losses_rate_and_speed(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    _run(tiny_config(), fabric, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == list(range(2, 17, 2))
    assert lines[-1]["learning_rate_factor"] == pytest.approx(0.25)
    assert {"adversarial", "l1", "discriminator_real", "discriminator_fake", "images_per_second"} <= set(lines[0])
    assert list((tmp_path / "tensorboard").iterdir())


def test_samples_are_drawn_while_training_and_at_the_end(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = tiny_config(loop={"sample_every_images": 8})
    _run(config, fabric, tmp_path, Witness(draw_samples=lambda: Image.new("RGB", (4, 4))))
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["000000008.png", "000000016.png"]


def test_loss_that_is_no_number_stops_and_keeps_the_checkpoint(
    tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric
) -> None:
    config = tiny_config(loop={"rollbacks_max": 0})
    family, batches = _parts(config, fabric)
    broken = _NanAfter(family, steps=3)
    with pytest.raises(DivergedError, match="After 8 images l1 is not finite"):
        train(broken, batches, config, Run.create(tmp_path, config))
    assert Run.open(tmp_path).load_checkpoint()["images"] == 4


def test_checkpoint_of_another_shape_is_refused(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    _run(tiny_config(optimizer={"total_images": 2}), fabric, tmp_path)
    other, _ = _parts(tiny_config(generator={"base_channels": 4}), fabric)
    with pytest.raises(RunError, match="does not fit this configuration"):
        restore(other, Run(tmp_path).load_checkpoint(), "last.ckpt")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"generator": {"base_channels": 4}}, "generator.base_channels"),
        ({"seed": 1}, "seed"),
        ({"hints": {"enabled": True}}, "hints"),
    ],
)
def test_run_cannot_go_on_as_another(
    section: dict[str, Any], key: str, tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric
) -> None:
    config = tiny_config(optimizer={"total_images": 2})
    _run(config, fabric, tmp_path)
    with pytest.raises(RunError, match=f"was begun with {key}"):
        Run(tmp_path).begin(tiny_config(optimizer={"total_images": 2}, **section))
    assert Run.open(tmp_path).config() == config


def test_changes_of_a_run_that_goes_on_are_noted(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    _run(tiny_config(optimizer={"total_images": 2}), fabric, tmp_path)
    _run(tiny_config(optimizer={"total_images": 4}), fabric, tmp_path)
    _run(tiny_config(optimizer={"total_images": 4}), fabric, tmp_path)
    assert Run.open(tmp_path).read_changes() == [{"images": 2, "changed": {"optimizer.total_images": [2, 4]}}]


def test_every_process_stops_when_one_is_asked_to(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = tiny_config()
    family, batches = _parts(config, fabric)
    answers = iter([False, False, False, False, True])  # whether to stop, then whether a loss is lost, and so on
    outcome = train(family, batches, config, Run.create(tmp_path, config), any_rank=lambda _: next(answers))
    assert (outcome.images, outcome.is_complete) == (4, False)


def test_damaged_or_missing_checkpoint_is_explained(tmp_path: Path, tiny_config: BuildConfig) -> None:
    run = Run.create(tmp_path, tiny_config())
    with pytest.raises(RunError, match="No checkpoint at"):
        run.load_checkpoint()
    run.checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match="cannot be read"):
        run.load_checkpoint()


def test_folder_without_configuration_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        Run.open(tmp_path)


def test_every_pair_is_seen_once_an_epoch_and_ranks_share_them(tiny_config: BuildConfig) -> None:
    config = tiny_config(optimizer={"batch_size": 1}, augment={"zoom_max": 1.0, "flip": False})
    pairs = tiny_pairs(6)
    seen = []
    for position in range(0, 6, 2):
        for rank in (0, 1):
            batches = PairedBatches(*pairs, config, LINE, device=torch.device("cpu"), rank=rank, world_size=2)
            seen.append(round(float(batches.batch(position)["target"][0, 0].min()), 3))
    assert len(set(seen)) == 6


def _losses(root: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


class _StopAfter:
    """Batches that press Ctrl-C while the given step runs."""

    def __init__(self, family: Pix2Pix, batches: PairedBatches, *, steps: int) -> None:
        self.family, self._batches, self._left = family, batches, steps

    def batch(self, position: int) -> Batch:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return self._batches.batch(position)


class _NanAfter:
    """A family whose L1 loss is NaN after some steps."""

    def __init__(self, family: Pix2Pix, *, steps: int) -> None:
        self._family, self._left = family, steps
        self.networks, self.optimizers = family.networks, family.optimizers
        self.exportables = family.exportables

    def step(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        self._left -= 1
        losses = self._family.step(batch)
        return {**losses, "l1": float("nan")} if self._left < 0 else losses


def test_collector_leaves_alone_what_is_there_after_some_steps() -> None:
    with settling(steps=2) as settle:
        settle()
        assert gc.get_freeze_count() == 0
        settle()
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0
