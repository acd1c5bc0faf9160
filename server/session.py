"""The only module that touches onnxruntime: opens a graph, checks it against its manifest, warms it up and runs it.

A session belongs to one thread at a time; nothing here queues or locks.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from server.catalog import ENCODE_FILE, Entry
from server.errors import ModelError
from server.graph import check_self_contained
from server.manifest import STYLE_NAME, FlexibleSize, ImageInput, Latent, Manifest, Size
from server.providers import DISTRIBUTIONS, OptionContext, Provider

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when the library is loaded: a self-hosted server calls nobody
import onnxruntime

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]
"""One array a graph input, each with a leading batch axis."""

WARM_UP_RUNS = 2

# A graph of one Relu, made with onnx.helper: enough to see whether a provider really comes up on this machine.
_PROBE = (
    b'\x08\x08:9\n\x0e\n\x01a\x12\x01b"\x04Relu:\x00\x12\x05probeZ\x0f\n\x01a\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01b\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)


class Session(Protocol):
    """What the engine knows of a loaded model."""

    @property
    def provider(self) -> str:
        """onnxruntime's name of the provider in use."""

    @property
    def batch_limit(self) -> int:
        """How many images one run may hold; 1 where batches do not pay or the graph has a fixed batch axis."""

    def run(self, feeds: Feeds) -> Array:
        """Runs one batch; `feeds` share their first axis. Returns `uint8 (N, H, W, C)`."""

    def encode(self, styles: Array) -> Array:
        """The latents of pictures, `uint8 (N, H, W, 3)` of the size that the manifest's `encode` names; one at a time."""


@dataclass(frozen=True)
class SessionOptions:
    """How sessions are made on this machine."""

    provider: Provider
    threads: int
    cache_dir: Path | None = None
    spin_microseconds: int = 0


def runtime_version() -> str:
    """Version of the onnxruntime in use."""
    return str(onnxruntime.__version__)


def installed_distributions() -> list[str]:
    """Which builds of onnxruntime pip installed here."""
    return [name for name in DISTRIBUTIONS if _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def why_unusable(provider: Provider) -> str | None:
    """Tries `provider` on a tiny graph; None when it works, else the reason in words."""
    available = onnxruntime.get_available_providers()
    if provider.name not in available:
        return f"this build of onnxruntime {runtime_version()} has no {provider.name}"
    _preload_libraries(provider)
    try:
        session = _open(_PROBE, SessionOptions(provider, threads=1), engine_cache=None)
        session.run(None, {"a": np.ones(1, np.float32)})
    except Exception as error:  # onnxruntime raises many types of its own, some of them bare RuntimeError
        return _first_line(error)
    used = session.get_providers()[0]
    return None if used == provider.name else f"{provider.name} did not start on this machine (no GPU, driver or library?)"


def _preload_libraries(provider: Provider) -> None:
    """CUDA and cuDNN from pip packages are found only after this; it exists in builds with CUDA."""
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload and provider.device != "cpu":
        preload()


class OrtSession:
    """A graph in onnxruntime that was checked against its manifest and warmed up."""

    def __init__(self, entry: Entry, options: SessionOptions) -> None:
        """Opens the graph of `entry`.

        Raises:
            ModelError: the file, the graph or its inputs and outputs break the contract.
        """
        self._manifest = entry.manifest
        self._session = _open_verified(entry.graph, entry.manifest.sha256, options)
        self._input_names = [node.name for node in self._session.get_inputs()]
        self._batch_sizes = _checked_batch_sizes(self._session, entry.manifest, options.provider)
        self._encoder = _open_encoder(entry, options)
        self.provider: str = self._session.get_providers()[0]

    @property
    def batch_limit(self) -> int:
        return self._batch_sizes[-1]

    def run(self, feeds: Feeds) -> Array:
        count = len(next(iter(feeds.values())))
        padded = next((size for size in self._batch_sizes if size >= count), count)
        batch = {name: _pad(feeds[name], padded) for name in self._input_names}
        image: Array = self._session.run(None, batch)[0]
        return image[:count]

    def encode(self, styles: Array) -> Array:
        assert self._encoder is not None  # who asks has seen that the manifest has `encode`
        latents: Array = self._encoder.run(None, {STYLE_NAME: styles})[0]
        return latents

    def warm_up(self) -> None:
        """Runs every batch size on empty canvases, so that the first person does not wait for allocation and kernel choice.

        Raises:
            ModelError: the encoder gives something else than a latent.
        """
        for size in self._batch_sizes:
            feeds = {name: np.repeat(value, size, axis=0) for name, value in blank_feeds(self._manifest).items()}
            for _ in range(WARM_UP_RUNS):
                self.run(feeds)
        if self._manifest.encode and self._manifest.latent:
            for _ in range(WARM_UP_RUNS):
                _check_latent(self.encode(_blank(self._manifest.encode.input)), self._manifest.latent)


def _check_latent(found: Array, latent: Latent) -> None:
    """A graph may leave the axes of its output open, so that only a run tells them."""
    if found.shape != (1, *latent.shape):
        raise ModelError(f"{ENCODE_FILE} gave a latent of shape {list(found.shape)}; the manifest says {[1, *latent.shape]}.")
    if not np.isfinite(found).all():
        raise ModelError(f"{ENCODE_FILE} gave a latent that is not finite for an empty picture; export the model again.")


def blank_feeds(manifest: Manifest) -> dict[str, Array]:
    """An empty canvas for each image input, zeros for the latent and the defaults of the parameters; batch 1."""
    feeds: dict[str, Array] = {}
    for spec in manifest.inputs:
        feeds[spec.name] = _blank(spec)
    if manifest.latent:
        feeds[manifest.latent.name] = np.zeros((1, *manifest.latent.shape), np.float32)
    for parameter in manifest.parameters:
        feeds[parameter.name] = np.full((1, 1), parameter.default, np.float32)
    return feeds


def _blank(spec: ImageInput) -> Array:
    height, width = smallest_extent(spec.size)
    return np.broadcast_to(np.array(spec.background, np.uint8), (1, height, width, spec.channels)).copy()


def smallest_extent(size: Size | FlexibleSize) -> tuple[int, int]:
    """Height and width of the smallest allowed picture, pixels."""
    if isinstance(size, Size):
        return size.height, size.width
    return size.smallest, size.smallest


def _open_verified(path: Path, sha256: str, options: SessionOptions) -> Any:
    content = _read_verified(path, sha256)
    check_self_contained(content, path.name)
    session = _open_model(path.name, content, options, sha256)
    used = session.get_providers()[0]
    if used != options.provider.name:
        raise ModelError(f"{options.provider.name} could not be used for {path.name}; onnxruntime took {used}.")
    return session


def _open_encoder(entry: Entry, options: SessionOptions) -> Any:
    """The graph that encodes styles, checked; None for a model that takes none."""
    encode, latent = entry.manifest.encode, entry.manifest.latent
    if entry.encoder is None or encode is None or latent is None:
        return None
    session = _open_verified(entry.encoder, encode.sha256, options)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if [node.name for node in inputs] != [STYLE_NAME] or len(outputs) != 1:
        names = ", ".join(node.name for node in inputs) or "none"
        raise ModelError(
            f"{ENCODE_FILE} has the inputs {names} and {len(outputs)} outputs; it must have one input, '{STYLE_NAME}', and one "
            "output, the latent."
        )
    what = f"{ENCODE_FILE}: input '{STYLE_NAME}'"
    _check_node(what, inputs[0], "tensor(uint8)", (*_extent(encode.input.size), encode.input.channels))
    _check_node(f"{ENCODE_FILE}: output '{outputs[0].name}'", outputs[0], "tensor(float)", latent.shape)
    return session


def _read_verified(path: Path, sha256: str) -> bytes:
    """The file is read once, so that what was verified is what is run."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error}.") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path.name} has sha256 {found[:12]}… but the manifest says {sha256[:12]}…; "
            "copy the folder's files again or export the model again."
        )
    return content


def _open_model(name: str, content: bytes, options: SessionOptions, sha256: str) -> Any:
    cache = _engine_cache(options, sha256)
    try:
        return _open(content, options, cache)
    except Exception as error:  # onnxruntime raises many types of its own, some of them bare RuntimeError
        raise ModelError(f"onnxruntime {runtime_version()} cannot open {name}: {_first_line(error)}") from None


def _open(content: bytes, options: SessionOptions, engine_cache: Path | None) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads  # explicit: the default reads the host, not the container
    settings.inter_op_num_threads = 1
    settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    settings.log_severity_level = 3
    # A thread that sleeps takes longer to wake than the next node to come. One that spins for milliseconds, as is the default,
    # holds a core that another model or program wants.
    settings.add_session_config_entry("session.intra_op.allow_spinning", str(int(options.spin_microseconds > 0)))
    if options.spin_microseconds:
        settings.add_session_config_entry("session.intra_op.spin_duration_us", str(options.spin_microseconds))
    settings.add_session_config_entry("session.force_spinning_stop", "1")  # between runs others need the cores
    # A node is dealt out in shrinking blocks: a thread that other work keeps gets fewer, and nobody waits long for it.
    settings.add_session_config_entry("session.dynamic_block_base", "4")
    settings.add_session_config_entry("session.set_denormal_as_zero", "1")
    first = (options.provider.name, dict(options.provider.options(OptionContext(engine_cache))))
    return onnxruntime.InferenceSession(content, settings, providers=[first, *options.provider.chain[1:]])


def _engine_cache(options: SessionOptions, sha256: str) -> Path | None:
    """A folder that no other model or runtime uses: a stale engine is loaded without a word."""
    if options.provider.device != "tensorrt" or options.cache_dir is None:
        return None
    folder = options.cache_dir / f"{sha256[:32]}-ort{runtime_version()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _checked_batch_sizes(session: Any, manifest: Manifest, provider: Provider) -> tuple[int, ...]:
    """Compares the graph's inputs and output with the manifest and tells which batch sizes it can take."""
    found = {node.name: node for node in session.get_inputs()}
    expected = dict(_expected_inputs(manifest))
    if set(found) != set(expected):
        raise ModelError(
            f"the graph's inputs are {', '.join(sorted(found))}, but the manifest declares {', '.join(sorted(expected))}."
        )
    outputs = session.get_outputs()
    if len(outputs) != 1:
        raise ModelError(f"the graph has {len(outputs)} outputs; it must have one, the image.")
    for name, (kind, shape) in expected.items():
        _check_node(f"input '{name}'", found[name], kind, shape)
    image_shape = (*_extent(manifest.output.size), manifest.output.channels)
    _check_node(f"output '{outputs[0].name}'", outputs[0], "tensor(uint8)", image_shape)
    is_dynamic = all(not isinstance(node.shape[0], int) for node in found.values())
    return provider.batch_sizes if is_dynamic else (1,)


def _expected_inputs(manifest: Manifest) -> Iterator[tuple[str, tuple[str, tuple[int | None, ...]]]]:
    for spec in manifest.inputs:
        yield spec.name, ("tensor(uint8)", (*_extent(spec.size), spec.channels))
    if manifest.latent:
        yield manifest.latent.name, ("tensor(float)", manifest.latent.shape)
    for parameter in manifest.parameters:
        yield parameter.name, ("tensor(float)", (1,))


def _extent(size: Size | FlexibleSize) -> tuple[int | None, int | None]:
    return (size.height, size.width) if isinstance(size, Size) else (None, None)


def _check_node(what: str, node: Any, kind: str, shape: tuple[int | None, ...]) -> None:
    """`None` in `shape` and a name in the node's shape both mean an axis of any length; the first axis is the batch."""
    if node.type != kind:
        raise ModelError(f"{what} has type {node.type}; it must be {kind}.")
    batch, *rest = list(node.shape) or [None]
    fits = len(rest) == len(shape) and all(
        not isinstance(is_, int) if should is None else is_ == should or not isinstance(is_, int)
        for is_, should in zip(rest, shape, strict=True)
    )
    if not fits or (isinstance(batch, int) and batch != 1):
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise ModelError(f"{what} has shape {list(node.shape)}; the manifest says (N, {wanted}).")


def _pad(values: Array, size: int) -> Array:
    """Repeats the last image up to `size`: a new batch size would make CUDA choose its kernels again."""
    missing = size - len(values)
    return values if missing <= 0 else np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
