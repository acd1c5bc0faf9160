"""The least that any service must do: decode, run the session, encode, in a plain loop. It shares no code with the server."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from server.manifest import Compose, FlexibleSize, ImageInput, InputKind, LatentDistribution, Manifest

THREADS = 2
USUAL_SIDE = 256
"""Pixels, where a model takes any size."""
JPEG_QUALITY = 90
TRIALS = 20
SPINS_MICROSECONDS = (0, 50, None)
"""How long threads spin for work before they sleep; None is onnxruntime's own choice, some milliseconds."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Model:
    """A model folder and the drawing that every measurement sends: its first sample."""

    folder: Path
    manifest: Manifest
    drawing: bytes

    @property
    def graph(self) -> Path:
        return self.folder / "model.onnx"


def read_models(root: Path) -> list[Model]:
    """The models below `root` that have a sample to draw.

    Raises:
        FileNotFoundError: There is none.
    """
    models = []
    for path in sorted(root.glob("*/manifest.json")):
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
        if manifest.samples:
            drawing = path.parent / manifest.samples[0].inputs[manifest.inputs[0].name]
            models.append(Model(path.parent, manifest, drawing.read_bytes()))
    if not models:
        raise FileNotFoundError(f"'{root}' holds no model with a sample; name a folder of model folders: --models DIR.")
    return models


class BareLoop:
    """One model, one session, one thread of Python."""

    def __init__(self, model: Model, spin_microseconds: int | None) -> None:
        options = _options(spin_microseconds)
        self._session = onnxruntime.InferenceSession(model.graph, options, providers=["CPUExecutionProvider"])
        self._main = model.manifest.inputs[0]
        self._is_chroma = model.manifest.output.compose is Compose.CHROMA
        self._palette = _palette(self._main)
        self._drawing = model.drawing
        self._fixed = _fixed_feeds(model.manifest)

    @classmethod
    def fastest(cls, model: Model) -> BareLoop:
        """With threads that sleep, or that spin while they wait: whichever is quicker on this machine as busy as it is now."""
        loops = [cls(model, microseconds) for microseconds in SPINS_MICROSECONDS]
        return min(loops, key=lambda loop: median(loop.time_translations(TRIALS)[TRIALS // 4 :]))

    def translate(self) -> bytes:
        """The drawing's PNG to the result's JPEG; where only colour is the model's, under the photo's own luma."""
        given = self.decode()
        picture = Image.fromarray(self.run(given)[0].squeeze())
        if self._is_chroma:
            _, blue, red = picture.convert("YCbCr").split()
            picture = Image.merge("YCbCr", (Image.fromarray(given[0].squeeze()), blue, red)).convert("RGB")
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
        return buffer.getvalue()

    def decode(self) -> Array:
        """The drawing as the graph takes it: (1, H, W, C)."""
        with Image.open(io.BytesIO(self._drawing)) as picture:
            pixels = np.asarray(picture.convert("RGB" if self._palette is not None else _MODES[self._main.channels]))
        if self._palette is not None:
            packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
            pixels = self._palette[packed]
        return pixels.reshape(1, *pixels.shape[:2], self._main.channels)

    def run(self, image: Array) -> Array:
        """One run of the session."""
        (result,) = self._session.run(None, {**self._fixed, self._main.name: image})
        return np.asarray(result)

    def time_translations(self, count: int) -> list[float]:
        """Milliseconds of `count` translations, one after another."""
        return [_milliseconds(self.translate) for _ in range(count)]

    def time_runs(self, count: int) -> list[float]:
        """Milliseconds of `count` runs of the session alone."""
        image = self._at_usual_size(self.decode())
        return [_milliseconds(lambda: self.run(image)) for _ in range(count)]

    def _at_usual_size(self, image: Array) -> Array:
        """The drawing as it is, or at `USUAL_SIDE` where the model takes any size: (1, H, W, C)."""
        if not isinstance(self._main.size, FlexibleSize):
            return image
        picture = Image.fromarray(image[0].squeeze()).resize((USUAL_SIDE, USUAL_SIDE), Image.Resampling.BOX)
        return np.asarray(picture).reshape(1, USUAL_SIDE, USUAL_SIDE, self._main.channels)


def _options(spin_microseconds: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin_microseconds != 0)))
    if spin_microseconds:
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(spin_microseconds))
    return options


def _milliseconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _palette(spec: ImageInput) -> Array | None:
    """Class by packed RGB; colours off the palette become class 0. The drawing measured with has none."""
    if spec.kind is not InputKind.LABELS or spec.palette is None:
        return None
    table = np.zeros(2**24, np.uint8)
    for entry in spec.palette:
        table[int(entry.color[1:], 16)] = entry.index
    return table


def _fixed_feeds(manifest: Manifest) -> dict[str, Array]:
    """All inputs but the main one: empty canvases, one draw of the latent, parameters at their defaults."""
    feeds: dict[str, Array] = {}
    for spec in manifest.inputs[1:]:
        height, width = _side(spec)
        feeds[spec.name] = np.broadcast_to(np.array(spec.background, np.uint8), (1, height, width, spec.channels)).copy()
    if manifest.latent:
        shape = (1, *manifest.latent.shape)
        generator = np.random.default_rng(7)
        is_normal = manifest.latent.distribution is LatentDistribution.NORMAL
        drawn: Array = generator.standard_normal(shape) if is_normal else generator.integers(0, 2, shape)
        feeds[manifest.latent.name] = drawn.astype(np.float32)
    for parameter in manifest.parameters:
        feeds[parameter.name] = np.full((1, 1), parameter.default, np.float32)
    return feeds


def _side(spec: ImageInput) -> tuple[int, int]:
    if isinstance(spec.size, FlexibleSize):
        side = min(max(USUAL_SIDE, spec.size.min), spec.size.largest) // spec.size.multiple_of * spec.size.multiple_of
        return side, side
    return spec.size.height, spec.size.width
