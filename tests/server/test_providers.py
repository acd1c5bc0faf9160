from __future__ import annotations

from pathlib import Path

import pytest

from server import processors
from server.errors import ConfigurationError
from server.processors import usable_cores
from server.providers import AUTO_ORDER, PROVIDERS, OptionContext, Provider, check_distributions, choose
from server.session import why_unusable


def only(*devices: str):
    """A machine on which these devices work."""

    def why(provider: Provider) -> str | None:
        return None if provider.device in devices else "no such thing here"

    return why


def test_auto_takes_the_best_device_that_works() -> None:
    assert choose("auto", only("cuda", "cpu")).device == "cuda"


def test_auto_falls_back_and_says_why() -> None:
    choice = choose("auto", only("cpu"))
    assert choice.device == "cpu"
    assert "no cuda (no such thing here)" in choice.reason


def test_auto_never_takes_tensorrt() -> None:
    assert "tensorrt" not in AUTO_ORDER


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_device_asked_for_by_name_is_used_or_refused(device: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{device}' cannot be used: no such thing here; install"):
        choose(device, only("cpu"))


def test_unknown_device_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigurationError, match="'gpu' is not a device; use auto, cpu, cuda, tensorrt"):
        choose("gpu", only("cpu"))


def test_no_device_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="No device works"):
        choose("auto", only())


def test_two_builds_of_the_runtime_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        check_distributions(["onnxruntime", "onnxruntime-gpu", "numpy"])
    check_distributions(["onnxruntime-gpu", "numpy"])


def test_cpu_comes_up_on_this_machine() -> None:
    assert why_unusable(PROVIDERS["cpu"]) is None


def test_a_provider_missing_from_the_build_is_named() -> None:
    missing = Provider("odd", ("OddExecutionProvider",), lambda _: {}, (1,), "")
    assert "has no OddExecutionProvider" in str(why_unusable(missing))


@pytest.mark.parametrize("device", list(PROVIDERS))
def test_options_are_text_and_every_chain_ends_on_the_cpu(device: str) -> None:
    provider = PROVIDERS[device]
    options = provider.options(OptionContext(engine_cache=Path("/cache")))
    assert all(isinstance(value, str) for value in options.values())
    assert provider.chain[-1] == "CPUExecutionProvider"
    assert provider.batch_sizes[0] == 1


def test_tensorrt_keeps_engines_only_where_it_is_told_to() -> None:
    assert "trt_engine_cache_path" not in PROVIDERS["tensorrt"].options(OptionContext(None))
    assert PROVIDERS["tensorrt"].options(OptionContext(Path("/c")))["trt_engine_cache_path"] == "/c"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(("limit", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("rubbish", 8)])
def test_cores_follow_the_quota_of_cgroup_v2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, cores: int) -> None:
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: set(range(8)))
    write(tmp_path / "sys/fs/cgroup/cpu.max", limit)
    assert usable_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("300000", 3), ("-1", 8)])
def test_cores_follow_the_quota_of_cgroup_v1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, cores: int) -> None:
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: set(range(8)))
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota)
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert usable_cores(tmp_path) == cores


def test_cores_never_exceed_the_affinity_mask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: {0, 1})
    write(tmp_path / "sys/fs/cgroup/cpu.max", "800000 100000")
    assert usable_cores(tmp_path) == 2
