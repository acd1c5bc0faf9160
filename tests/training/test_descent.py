"""Gradient accumulation: several batches make the step that one large batch would make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from tests.training.conftest import TINY, TINY_CINN, TINY_CVAE, TINY_EDGES, BuildConfig, tiny_pairs
from training.batches import PairedBatches
from training.config import ConfigError, TrainConfig
from training.descent import Descent
from training.families import FAMILIES
from training.families.pix2pix import Pix2Pix
from training.families.protocol import Batch, Family
from training.loop import train
from training.run import Run
from training.source import SourceSpec

SOURCES = {
    "pix2pix": SourceSpec("line"),
    "colorizer": SourceSpec("gray"),
    "cyclegan": SourceSpec("photo", 3),
    "edges": SourceSpec("photo", 3),
    "cinn": SourceSpec("gray"),
    "cvae": SourceSpec("gray"),
}
SECTIONS: dict[str, dict[str, Any]] = {
    "pix2pix": {"generator": {"noise_levels": 0}},
    "colorizer": {"generator": {"noise_levels": 0}},
    "cyclegan": {
        "generator": None,
        "resnet": {"base_channels": 8, "max_channels": 32, "residual_blocks": 2},
        "cyclegan": {"pool_capacity": 0, "discriminator_augment": []},
    },
    "edges": TINY_EDGES,
    "cinn": {**TINY_CINN, "cinn": {**TINY_CINN["cinn"], "noise": 0.0}},
    "cvae": {**TINY_CVAE, "cvae": {**TINY_CVAE["cvae"], "noise": 0.0}},
}
"""Everything that is drawn is off: two batches draw other numbers than one large batch."""


def _family(name: str, build: BuildConfig, fabric: Fabric) -> Family:
    torch.manual_seed(0)
    # Adam's first steps follow the sign of a gradient: a large rate would turn rounding of zeros into large differences.
    config = build(family=name, optimizer={"learning_rate": 1e-5}, **SECTIONS[name])
    return FAMILIES[name](config, SOURCES[name], fabric)


def _batch(name: str, count: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def pictures(channels: int) -> Tensor:
        return torch.rand(count, channels, TINY, TINY, generator=generator) * 2 - 1

    if name == "edges":
        return {"source": pictures(3), "target": pictures(1).sign()}
    return {"a": pictures(3), "b": pictures(3)} if name == "cyclegan" else {"source": pictures(1), "target": pictures(3)}


def _parts(batch: Batch, count: int) -> list[Batch]:
    chunks = {name: tensor.chunk(count) for name, tensor in batch.items()}
    return [{name: chunk[k] for name, chunk in chunks.items()} for k in range(count)]


# Batch normalisation sees one batch at a time: for an edge detector two batches are not one large one.
@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "edges"])
def test_accumulated_batches_equal_a_larger_one(name: str, tiny_config: BuildConfig, fabric: Fabric) -> None:
    large, small = (_family(name, tiny_config, fabric) for _ in range(2))
    for _ in range(3):
        expected, losses = large.step(_batch(name)), small.step(*_parts(_batch(name), 2))
        assert losses == pytest.approx(expected, rel=1e-4)
    weights = small.networks.state_dict()
    for key, value in large.networks.state_dict().items():
        off = (weights[key] - value).abs() > 3e-6  # float32; each step moves a weight by 1e-5
        # Adam follows the sign of a gradient that is zero but for rounding, and batches of other sizes round otherwise.
        assert int(off.sum()) <= off.numel() / 5000, f"{int(off.sum())} of {off.numel()} values of {key}"
        torch.testing.assert_close(weights[key], value, rtol=0, atol=1e-5)
    assert all(int(value) == 12 for key, value in weights.items() if key.endswith("images_seen"))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_one_of_the_batches_counts(name: str, tiny_config: BuildConfig, fabric: Fabric) -> None:
    whole, half = (_family(name, tiny_config, fabric) for _ in range(2))
    parts = _parts(_batch(name), 2)
    assert whole.step(*parts) != half.step(parts[0])
    moved = [(a - b).abs().max() for a, b in zip(whole.networks.parameters(), half.networks.parameters(), strict=True)]
    assert max(moved) > 5e-6


def test_run_with_accumulation_resumes_where_a_step_ended(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = tiny_config(optimizer={"accumulate": 2})
    whole, broken = _run(config, fabric, tmp_path / "whole"), _run(config, fabric, tmp_path / "broken", stop_after=2)
    assert Run.open(tmp_path / "broken").load_checkpoint()["images"] == 8  # two steps of two batches of two
    assert not _equal(whole, broken)
    assert _equal(whole, _run(config, fabric, tmp_path / "broken"))


def test_steps_follow_one_another_without_a_gap(tmp_path: Path, tiny_config: BuildConfig, fabric: Fabric) -> None:
    """In a distributed run the batches of one process are as far apart as all processes take together."""
    config = tiny_config(optimizer={"accumulate": 2})
    batches = _Batches(config)
    train(Pix2Pix(config, SOURCES["pix2pix"], fabric), batches, config, Run.create(tmp_path, config), world_size=2)
    assert batches.asked == [0, 4, 8, 12]


def test_step_that_would_be_the_whole_run_is_refused(tiny_config: BuildConfig) -> None:
    with pytest.raises(ConfigError, match=r"'optimizer.accumulate' has value 9: a step would take 18 images, more than the 16"):
        tiny_config(optimizer={"accumulate": 9})
    with pytest.raises(ConfigError, match=r"'optimizer.accumulate' has value 0"):
        tiny_config(optimizer={"accumulate": 0})


def test_gradient_is_shortened_once_all_batches_are_in(fabric: Fabric) -> None:
    """Two halves of 30 and 50 average to a gradient of 40, which is shortened to 10; each alone would be 10 too."""
    descent, weight = _scalar(fabric, norm_max=10.0)
    descent.update(["line"], [torch.tensor(30.0), torch.tensor(-90.0)], lambda part: (descent.networks["line"](part), {}))
    assert weight.item() == pytest.approx(10.0, rel=1e-4)  # -30 on average, of which 10 are left


def test_network_whose_gradient_is_no_number_stays(fabric: Fabric) -> None:
    descent, weight = _scalar(fabric, norm_max=10.0)
    descent.update(["line"], [torch.tensor(float("nan"))], lambda part: (descent.networks["line"](part), {}))
    assert weight.item() == 0.0


def _scalar(fabric: Fabric, norm_max: float) -> tuple[Descent, Tensor]:
    """A network of one weight, 0 at first, that multiplies its input, under plain descent at a rate of 1."""
    line = nn.Sequential(_Scale())
    network, optimizer = fabric.setup(line, torch.optim.SGD(line.parameters(), lr=1.0))
    return Descent(fabric, {"line": network}, {"line": optimizer}, norm_max), line[0].weight


class _Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, value: Tensor) -> Tensor:
        return self.weight * value


def _run(config: TrainConfig, fabric: Fabric, root: Path, stop_after: int = 10**9) -> Pix2Pix:
    torch.manual_seed(config.seed)
    family = Pix2Pix(config, SOURCES["pix2pix"], fabric)
    answers = iter([*[False] * 2 * stop_after, True]) if stop_after < 10**9 else None
    batches = PairedBatches(*tiny_pairs(5), config, SOURCES["pix2pix"], device=torch.device("cpu"))
    train(family, batches, config, Run.create(root, config), any_rank=lambda asked: next(answers) if answers else asked)
    return family


def _equal(one: Pix2Pix, other: Pix2Pix) -> bool:
    states = one.networks.state_dict(), other.networks.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


class _Batches:
    """Notes where batches were asked for."""

    def __init__(self, config: TrainConfig) -> None:
        self._batches = PairedBatches(*tiny_pairs(5), config, SOURCES["pix2pix"], device=torch.device("cpu"))
        self.asked: list[int] = []

    def batch(self, position: int) -> Batch:
        self.asked.append(position)
        return self._batches.batch(position)


def test_losses_of_batches_are_averaged(fabric: Fabric) -> None:
    descent, _ = _scalar(fabric, norm_max=0.0)
    parts = [torch.tensor(value) for value in (1.0, 2.0, 6.0)]
    means = descent.update(["line"], parts, lambda part: (descent.networks["line"](part), {"given": part}))
    assert np.isclose(means["given"].item(), 3.0)
