"""The table of execution providers and how one is chosen. Data only: what is available is told by the caller."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from server.errors import ConfigurationError

Options = Mapping[str, str]
AUTO = "auto"


@dataclass(frozen=True)
class OptionContext:
    """What a provider's options may depend on."""

    engine_cache: Path | None
    """Folder for compiled engines of exactly this model and runtime, or None to keep none."""


@dataclass(frozen=True)
class Provider:
    """One row: how a device is asked for and how it likes its work.

    Attributes:
        device: Name in `INKWASH_DEVICE`.
        chain: onnxruntime's names, first the wanted one, then those that take over single operators it lacks.
        options: Options of the wanted one.
        batch_sizes: Sizes to which micro-batches are padded; (1,) where a batch takes as long as its images one by one.
        install: What to do when it is missing.
    """

    device: str
    chain: tuple[str, ...]
    options: Callable[[OptionContext], Options]
    batch_sizes: tuple[int, ...]
    install: str

    @property
    def name(self) -> str:
        """onnxruntime's name of the wanted provider."""
        return self.chain[0]


def _cpu_options(_: OptionContext) -> Options:
    return {}


def _cuda_options(_: OptionContext) -> Options:
    """Heuristic search: the exhaustive default costs seconds at the first sight of a shape and buys nothing measurable here.

    CUDA graphs are left off: they need fixed addresses and one shape a session, and the graphs served here are convolutions
    large enough that launches do not dominate once micro-batches form.
    """
    return {
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "1",
        "arena_extend_strategy": "kSameAsRequested",
        "do_copy_in_default_stream": "1",
    }


def _tensorrt_options(context: OptionContext) -> Options:
    """Engines are valid for one model, runtime and GPU only, and a stale one is not noticed: hence the folder of their own."""
    options = {"trt_fp16_enable": "1", "trt_builder_optimization_level": "3"}
    if context.engine_cache:
        folder = str(context.engine_cache)
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return options


_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

PROVIDERS: dict[str, Provider] = {
    "cpu": Provider("cpu", (_CPU,), _cpu_options, (1,), "install onnxruntime: pip install 'inkwash[cpu]'."),
    "cuda": Provider(
        "cuda",
        (_CUDA, _CPU),
        _cuda_options,
        (1, 4, 8, 16),
        "install 'inkwash[gpu]' in place of [cpu] and an NVIDIA driver (580 or newer for CUDA 13), or set INKWASH_DEVICE=auto.",
    ),
    "tensorrt": Provider(
        "tensorrt",
        (_TENSORRT, _CUDA, _CPU),
        _tensorrt_options,
        (1, 4, 8, 16),
        "install 'inkwash[gpu]' and TensorRT's libraries, or set INKWASH_DEVICE=cuda.",
    ),
}
AUTO_ORDER = ("cuda", "cpu")
"""`auto` never takes TensorRT: its engines are built for minutes at the first start."""

DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")
"""They all install the module `onnxruntime`; the one installed last wins without a word."""


@dataclass(frozen=True)
class Choice:
    """The provider in use and, in words for people, why."""

    provider: Provider
    reason: str

    @property
    def device(self) -> str:
        return self.provider.device


def check_distributions(installed: Collection[str]) -> None:
    """Refuses an environment in which two builds of onnxruntime overwrite each other.

    Raises:
        ConfigurationError: names both and the remedy.
    """
    found = sorted(set(installed) & set(DISTRIBUTIONS))
    if len(found) > 1:
        raise ConfigurationError(
            f"{' and '.join(found)} are both installed and overwrite each other's files; "
            f"run `pip uninstall -y {' '.join(found)}` and install one of the extras [cpu] and [gpu]."
        )


def choose(device: str, why_unusable: Callable[[Provider], str | None]) -> Choice:
    """Picks the provider for `INKWASH_DEVICE`.

    Args:
        device: `auto` or a key of PROVIDERS.
        why_unusable: Tries a provider; None when it works, else the reason.

    Raises:
        ConfigurationError: the device is unknown, or asked for by name and unusable.
    """
    if device != AUTO:
        return _exactly(device, why_unusable)
    refused: list[str] = []
    for name in AUTO_ORDER:
        reason = why_unusable(PROVIDERS[name])
        if reason is None:
            why = f"auto: {'; '.join(refused)}" if refused else "auto: the best device at hand"
            return Choice(PROVIDERS[name], why)
        refused.append(f"no {name} ({reason})")
    raise ConfigurationError(f"No device works: {'; '.join(refused)}; {PROVIDERS['cpu'].install}")


def _exactly(device: str, why_unusable: Callable[[Provider], str | None]) -> Choice:
    provider = PROVIDERS.get(device)
    if provider is None:
        raise ConfigurationError(f"INKWASH_DEVICE = '{device}' is not a device; use {AUTO}, {', '.join(PROVIDERS)}.")
    reason = why_unusable(provider)
    if reason is not None:
        raise ConfigurationError(f"INKWASH_DEVICE = '{device}' cannot be used: {reason}; {provider.install}")
    return Choice(provider, "asked for by INKWASH_DEVICE")
