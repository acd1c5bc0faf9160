"""Ways to find the lines of a photo. Each takes RGB pixels and gives thin lines or finished ink; none knows a data set."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2gray
from skimage.feature import canny

from training.builder.journal import BuildError
from training.datasets import ImagesU8
from training.linework import thin

Thin = NDArray[np.float32]
"""(H, W) in [0, 1]: how sure a line is of itself, on lines about a pixel wide; 0 elsewhere."""


class Preprocessing(BaseModel):
    """What an edge model of the user's wants to be given: (value * `scale` - mean) / std in each channel of [0, 255] pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: Literal["rgb", "bgr"] = "rgb"
    scale: float = Field(default=1 / 255, gt=0)
    mean: tuple[float, float, float] = Field(default=(0.0, 0.0, 0.0), description="In the model's order of channels.")
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    multiple_of: int = Field(default=32, ge=1, description="Height and width are padded to multiples of this, pixels.")
    output: int = Field(default=-1, description="Which of the model's outputs, from 0; -1 is the last, often the fusion.")
    is_logit: bool = Field(default=False, description="The output still wants a sigmoid.")
    is_dark: bool = Field(default=False, description="Lines are dark on light in the output.")


class Extractor(Protocol):
    """Finds lines."""

    is_finished: bool
    """The lines have the width they are to have, as ink in [0, 1]; nothing is thinned or widened."""

    def __call__(self, photo: ImagesU8, detail: float) -> Thin:
        """RGB (H, W, 3) and how much to draw, [0, 1] -> lines (H, W)."""


class ServedExtractor:
    """A tracer of this project: `model.onnx` of a model folder whose graph draws finished lines, here with the thinnest pen."""

    is_finished = False

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def __call__(self, photo: ImagesU8, detail: float) -> Thin:
        numbers = {"detail": detail, "line_width": 1.0}
        feeds: dict[str, Any] = {name: np.full((1, 1), value, np.float32) for name, value in numbers.items()}
        drawing = self._session.run(None, {"image": _padded(photo, 16)[None], **feeds})[0][0, ..., 0]
        lines: Thin = 1 - drawing[: photo.shape[0], : photo.shape[1]].astype(np.float32) / 255
        return lines


class OnnxExtractor:
    """Any edge model in ONNX: one float picture in, a map of borders out; ridges are found here."""

    is_finished = False

    def __init__(self, session: onnxruntime.InferenceSession, how: Preprocessing) -> None:
        self._session, self._how = session, how
        self._input = session.get_inputs()[0]
        shape = self._input.shape
        if len(session.get_inputs()) != 1 or len(shape) != 4 or 3 not in (shape[1], shape[3]):
            found = [(spec.name, spec.shape) for spec in session.get_inputs()]
            raise BuildError(
                f"The edge model takes {found}; give one that takes a single picture of 3 channels, (1, 3, H, W) or "
                "(1, H, W, 3)."
            )
        self._is_planar = shape[1] == 3

    def __call__(self, photo: ImagesU8, detail: float) -> Thin:
        how = self._how
        pixels = _padded(photo, how.multiple_of).astype(np.float32)
        pixels = pixels[..., ::-1] if how.order == "bgr" else pixels
        pixels = ((pixels * how.scale - np.array(how.mean)) / np.array(how.std)).astype(np.float32)
        batch = pixels.transpose(2, 0, 1)[None] if self._is_planar else pixels[None]
        try:
            made = self._session.run(None, {self._input.name: np.ascontiguousarray(batch)})[how.output]
        except Exception as error:  # onnxruntime raises types of its own
            raise BuildError(
                f"The edge model does not run on a picture of {photo.shape[1]}x{photo.shape[0]}: {error}"
            ) from error
        borders = self._as_borders(np.asarray(made, np.float32), pixels.shape[:2])[: photo.shape[0], : photo.shape[1]]
        ridges: Thin = thin(torch.from_numpy(np.ascontiguousarray(borders))[None, None])[0, 0].numpy()
        return (ridges >= 0.85 - 0.6 * detail).astype(np.float32)

    def _as_borders(self, made: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
        plane = made.squeeze()
        if plane.shape != size:
            raise BuildError(
                f"Output {self._how.output} of the edge model is {made.shape} for a picture of {size} (height, width); name "
                "an output of one plane and of the picture's own size with draw.preprocessing.output."
            )
        plane = (1 / (1 + np.exp(-plane))).astype(np.float32) if self._how.is_logit else plane
        plane = 1 - plane if self._how.is_dark else plane
        borders: NDArray[np.float32] = plane.clip(0, 1)
        return borders


class CannyExtractor:
    """Canny (1986), by scikit-image: edges of brightness, whatever they mean."""

    is_finished = False

    def __init__(self, sigma_px: float = 2.0) -> None:
        self._sigma = sigma_px

    def __call__(self, photo: ImagesU8, detail: float) -> Thin:
        high = 0.05 + 0.5 * (1 - detail)
        edges: NDArray[np.bool_] = canny(rgb2gray(photo), self._sigma, 0.4 * high, high)  # type: ignore[no-untyped-call]
        return edges.astype(np.float32)


class XdogExtractor:
    """Extended difference of Gaussians (Winnemoeller, Kyprianidis, Olsen 2012, 2.3): ink where it is darker than around.

    It gives whole strokes, and turns dark fur into solid ink.
    """

    is_finished = True

    def __init__(self, sigma_px: float = 1.0, sharpness: float = 16.0) -> None:
        self._sigma, self._sharpness = sigma_px, sharpness

    def __call__(self, photo: ImagesU8, detail: float) -> Thin:
        gray = rgb2gray(photo)
        fine, coarse = (gaussian_filter(gray, self._sigma * ratio) for ratio in (1.0, 1.6))
        # (1 + p) G_sigma - p G_(k sigma); below the threshold it is ramped down by a hyperbolic tangent.
        sharpened = (1 + self._sharpness) * fine - self._sharpness * coarse
        threshold = 0.4 + 0.4 * detail
        ink: Thin = np.where(sharpened >= threshold, 0, np.tanh(10 * (threshold - sharpened))).astype(np.float32)
        return ink


def model_file(path: Path | None, base: Path) -> Path:
    """The ONNX file of an edge model; the bundled tracer's when no path is given.

    Args:
        path: `model.onnx` or the folder that holds it; relative ones start from `base`.

    Raises:
        BuildError: There is none.
    """
    given = _bundled() if path is None else base / path
    file = given / "model.onnx" if given.is_dir() else given
    if not file.is_file():
        raise BuildError(
            f"The edge model '{file}' is missing; give draw.model an ONNX file or a model folder such as models/sketch."
        )
    return file


def open_model(file: Path, how: Preprocessing) -> Extractor:
    """A tracer of this project, or another edge model.

    Raises:
        BuildError: It is no edge model.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own
        raise BuildError(f"'{file}' cannot be opened as an ONNX model: {error}") from error
    names = {spec.name for spec in session.get_inputs()}
    return ServedExtractor(session) if names == {"image", "detail", "line_width"} else OnnxExtractor(session, how)


EXTRACTORS: Mapping[str, Callable[[float], Extractor]] = {"canny": CannyExtractor, "xdog": XdogExtractor}
"""Those that need no model, made with a smoothing in pixels."""


def _bundled() -> Path:
    """The tracer that comes with the server, in an installation or in the repository."""
    spec = importlib.util.find_spec("server")
    root = Path(spec.origin).parent if spec and spec.origin else Path()
    installed = root / "_models" / "sketch"
    return installed if installed.is_dir() else root.parent / "models" / "sketch"


def _padded(photo: ImagesU8, step: int) -> ImagesU8:
    height, width = photo.shape[:2]
    padded: ImagesU8 = np.pad(photo, ((0, -height % step), (0, -width % step), (0, 0)), mode="edge")
    return padded
