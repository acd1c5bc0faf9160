"""A run that goes astray goes back to its last checkpoint, and on from there another way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.conftest import BuildConfig
from training.checkpoint import Course
from training.config import TrainConfig
from training.families.protocol import Batch, Exportable
from training.guard import DivergedError, Guard
from training.loop import Outcome, train
from training.run import Run

BAD = 10
"""After the step that begins here a loss is lost."""


class _Line:
    """A family of one weight, which a step moves by the learning rate times a number that its batch and noise decide."""

    def __init__(self, lost_at: tuple[int, ...] = (), weight_lost_at: tuple[int, ...] = ()) -> None:
        self.weight = nn.Parameter(torch.zeros(1))
        self.networks = nn.ModuleDict({"line": nn.ParameterList([self.weight])})
        self.optimizers = {"line": torch.optim.SGD([self.weight], lr=1.0, momentum=0.5)}
        self.seen: list[int] = []
        self.rates: list[float] = []
        self._lost_at, self._weight_lost_at = lost_at, weight_lost_at

    def step(self, *batches: Batch) -> dict[str, float]:
        position = int(batches[0]["position"])
        self.seen.append(position)
        self.rates.append(self.optimizers["line"].param_groups[0]["lr"])
        self.optimizers["line"].zero_grad()
        (self.weight * torch.rand(()) * (1 + position % 7)).sum().backward()
        self.optimizers["line"].step()
        if position in self._weight_lost_at:
            self.weight.data.fill_(float("nan"))
        return {"l1": float("nan") if position in self._lost_at else 0.5}

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        raise AssertionError(weights)

    def exportables(self) -> Mapping[str, Exportable]:
        return {}


class _Positions:
    def batch(self, position: int) -> Batch:
        return {"position": torch.tensor(position)}


@pytest.fixture
def config(tiny_config: BuildConfig) -> BuildConfig:
    """Steps of 2 images up to 24, a checkpoint every 8, at a constant rate of 1."""

    def build(**loop: Any) -> TrainConfig:
        optimizer = {"total_images": 24, "learning_rate": 1.0, "decay_start": 1.0}
        return tiny_config(optimizer=optimizer, loop={"checkpoint_every_images": 8, **loop})

    return build


def _train(family: _Line, config: TrainConfig, root: Path) -> Outcome:
    return train(family, _Positions(), config, Run.create(root, config))


def test_lost_loss_leads_back_to_the_last_checkpoint_and_on_another_way(tmp_path: Path, config: BuildConfig) -> None:
    family = _Line(lost_at=(BAD,))
    outcome = _train(family, config(), tmp_path)
    assert (outcome.images, outcome.is_complete) == (24, True)
    assert family.seen[:6] == [0, 2, 4, 6, 8, 10]
    assert [position % 2**40 for position in family.seen[6:]] == list(range(8, 24, 2))  # from the checkpoint on
    assert all(position >= 2**40 for position in family.seen[6:])  # other pictures than before
    assert family.rates == [1.0] * 6 + [0.5] * 8
    state = Run.open(tmp_path).load_checkpoint()
    assert (state["images"], state["rollbacks"], state["learning_rate_scale"]) == (24, 1, 0.5)
    assert bool(torch.isfinite(family.weight).all())


def test_weights_and_momentum_are_those_of_the_checkpoint(tmp_path: Path, config: BuildConfig) -> None:
    """A run that goes back equals one that is stopped at its checkpoint and told of the rollback."""
    gone_back = _Line(lost_at=(BAD,))
    _train(gone_back, config(), tmp_path / "back")
    stopped = _Line()
    answers = iter([*[False] * 8, True])
    run = Run.create(tmp_path / "told", config())
    train(stopped, _Positions(), config(), run, any_rank=lambda _: next(answers))
    run.save_checkpoint({**run.load_checkpoint(), "rollbacks": 1, "learning_rate_scale": 0.5})
    _train(told := _Line(), config(), tmp_path / "told")
    assert torch.equal(gone_back.weight, told.weight)


def test_run_is_told_of_what_happened(tmp_path: Path, config: BuildConfig) -> None:
    _train(_Line(lost_at=(BAD,)), config(rollback_learning_rate_factor=0.1), tmp_path)
    reason = "After 12 images l1 is not finite"
    note = {"images": 8, "changed": {"learning_rate_scale": [1.0, 0.1]}, "reason": reason}
    assert Run.open(tmp_path).read_changes() == [note]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == list(range(2, 25, 2))
    assert [line["learning_rate_factor"] for line in lines] == [1.0] * 4 + [0.1] * 8


def test_run_that_is_lost_before_its_first_checkpoint_begins_anew(tmp_path: Path, config: BuildConfig) -> None:
    family = _Line(lost_at=(4,))
    assert _train(family, config(), tmp_path).is_complete
    assert [position % 2**40 for position in family.seen] == [0, 2, 4, *range(0, 24, 2)]
    assert not Run.open(tmp_path).beginning.exists()


def test_lost_weights_are_noticed_before_they_are_kept(tmp_path: Path, config: BuildConfig) -> None:
    """Losses were still sound: what a checkpoint would hold is looked at as well."""
    family = _Line(weight_lost_at=(6,))
    assert _train(family, config(), tmp_path).is_complete
    (change,) = Run.open(tmp_path).read_changes()
    assert change["reason"] == "After 8 images networks.line.0 is not finite"
    assert bool(torch.isfinite(family.weight).all())


def test_run_gives_up_after_as_many_rollbacks_as_are_allowed(tmp_path: Path, config: BuildConfig) -> None:
    family = _Line(lost_at=(BAD, *(BAD + k * 2**40 for k in range(1, 9))))
    with pytest.raises(DivergedError, match=r"After 12 images l1 is not finite; 2 rollbacks, the last to 0\.25"):
        _train(family, config(rollbacks_max=2), tmp_path)
    assert family.seen == [0, 2, 4, 6, 8, 10, *(k * 2**40 + at for k in (1, 2) for at in (8, 10))]
    assert Run.open(tmp_path).load_checkpoint()["images"] == 8


def test_rollbacks_survive_a_kill(tmp_path: Path, config: BuildConfig) -> None:
    """A run that is killed right after it went back goes on as if it had not been."""
    broken, whole = _Killed(lost_at=(BAD,)), _Line(lost_at=(BAD,))
    with pytest.raises(KeyboardInterrupt):
        _train(broken, config(), tmp_path / "broken")
    resumed = _Line(lost_at=(BAD,))
    _train(resumed, config(), tmp_path / "broken")
    _train(whole, config(), tmp_path / "whole")
    assert resumed.seen == whole.seen[6:]
    assert torch.equal(resumed.weight, whole.weight)
    assert Run.open(tmp_path / "broken").read_changes() == Run.open(tmp_path / "whole").read_changes()


def test_processes_go_back_together(tmp_path: Path, config: BuildConfig) -> None:
    """One whose losses are sound goes back where another one's are not."""
    votes = iter([*[False] * 11, True, *[False] * 99])  # the sixth step, like BAD
    family = _Line()
    train(family, _Positions(), config(), Run.create(tmp_path, config()), any_rank=lambda _: next(votes))
    assert [position % 2**40 for position in family.seen[6:]] == list(range(8, 24, 2))
    assert "the loss of another process" in Run.open(tmp_path).read_changes()[0]["reason"]


def test_run_that_is_stopped_keeps_no_lost_weights(tmp_path: Path, config: BuildConfig) -> None:
    answers = iter([*[False] * 6, True])
    with pytest.raises(DivergedError, match=r"After 6 images networks\.line\.0 is not finite"):
        train(
            _Line(weight_lost_at=(4,)),
            _Positions(),
            config(checkpoint_every_images=4),
            Run.create(tmp_path, config()),
            any_rank=lambda _: next(answers),
        )
    assert Run.open(tmp_path).load_checkpoint()["images"] == 4


def test_checkpoints_of_before_there_were_rollbacks_are_read(tmp_path: Path, config: BuildConfig) -> None:
    run, family = Run.create(tmp_path, config()), _Line()
    optimizers = {"line": family.optimizers["line"].state_dict()}
    run.save_checkpoint({"images": 6, "networks": family.networks.state_dict(), "optimizers": optimizers})
    assert Guard(family, run, config().loop, is_main=True).begin() == Course(images=6)


class _Killed(_Line):
    """Is killed in its first step after a rollback."""

    def step(self, *batches: Batch) -> dict[str, float]:
        if int(batches[0]["position"]) >= 2**40:
            raise KeyboardInterrupt
        return super().step(*batches)
