"""Compiled networks: when they are, what is said where they cannot be, and that they learn the same."""

import copy

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from tests.training.conftest import BuildConfig, tiny_pairs
from training import compilation
from training.batches import held_out_batch
from training.compilation import CompilationError, compile_networks, why_not
from training.families.pix2pix import Pix2Pix
from training.source import SourceSpec

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # by torch itself

CPU = torch.device("cpu")
LINE = SourceSpec("line")


def _networks() -> nn.ModuleDict:
    return nn.ModuleDict({"generator": nn.Linear(2, 2), "average": nn.Linear(2, 2).requires_grad_(False)})


def _compiled(networks: nn.ModuleDict) -> list[str]:
    return [name for name, network in networks.items() if network._compiled_call_impl is not None]


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "why_not", lambda _: "")


@pytest.fixture
def unable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "why_not", lambda _: "InvalidCxxCompiler: No working C++ compiler found")


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("choice", ["auto", "on"])
def test_networks_that_learn_are_compiled(choice: compilation.Choice) -> None:
    networks = _networks()
    assert compile_networks(networks, choice, CPU)
    assert _compiled(networks) == ["generator"]
    assert list(copy.deepcopy(networks).state_dict()) == list(_networks().state_dict())


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize(("choice", "device"), [("off", "cpu"), ("auto", "cuda")])
def test_nothing_is_compiled_unasked(choice: compilation.Choice, device: str) -> None:
    networks = _networks()
    assert not compile_networks(networks, choice, torch.device(device))
    assert _compiled(networks) == []


@pytest.mark.usefixtures("unable")
def test_machine_without_a_compiler_trains_as_it_is() -> None:
    networks = _networks()
    assert not compile_networks(networks, "auto", CPU)
    assert _compiled(networks) == []


@pytest.mark.usefixtures("unable")
def test_what_is_missing_is_told_where_it_is_demanded() -> None:
    with pytest.raises(CompilationError, match=r"loop.compile is 'on', but a trial failed: InvalidCxxCompiler.*python3-dev"):
        compile_networks(_networks(), "on", CPU)


def test_trial_finds_a_missing_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> object:
        raise RuntimeError("no compiler\nand much else")

    monkeypatch.setattr(torch, "compile", lambda _: fail)
    assert why_not(CPU) == "no compiler"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # by torch too
def test_compiled_family_learns_what_it_would_have(tiny_config: BuildConfig, fabric: Fabric) -> None:
    if reason := why_not(CPU):
        pytest.skip(reason)
    batch = held_out_batch(*tiny_pairs(4, "line"), LINE, CPU, has_hints=False)
    losses = []
    for choice in ("off", "on"):
        torch.manual_seed(0)
        family = Pix2Pix(tiny_config(), LINE, fabric)
        compile_networks(family.networks, choice, CPU)  # type: ignore[arg-type]
        torch.manual_seed(1)
        losses.append([family.step(batch) for _ in range(3)])
    for plain, compiled in zip(*losses, strict=True):
        assert compiled == pytest.approx(plain, rel=1e-3)
