"""What a network sees in pictures: pooled features of an ONNX file that the user has, for distances between sets of pictures.

Inception's are the usual ones; no file comes with the project. It knows no distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, NotImplemented
from torch.nn import functional as F

from training.datasets import ImagesU8


class FeaturesError(ValueError):
    """A feature extractor that cannot be used; the message says what it should be."""


@dataclass(frozen=True)
class FeatureSource:
    """Where features come from and how pictures are fed.

    Attributes:
        path: An ONNX file with one input, float32 (N, 3, H, W).
        tensor: What of the graph is taken; its first output when absent. Maps and rows are averaged to one vector a picture.
        low, high: What black and white are at its input.
        is_bgr: Whether blue comes first there.
    """

    path: Path
    tensor: str | None = None
    low: float = 0.0
    high: float = 255.0
    is_bgr: bool = False


class FeatureExtractor:
    """An opened feature source."""

    def __init__(self, source: FeatureSource) -> None:
        """Raises FeaturesError: The file is missing, is no ONNX graph, or has other inputs or outputs."""
        self._source = source
        model = _read_model(source.path)
        self.tensor = source.tensor or model.graph.output[0].name
        self._session = _open_session(_with_output(model, self.tensor, source.path), source.path, self.tensor)
        (given, *more) = self._session.get_inputs()
        if more or len(given.shape) != 4 or given.shape[1] != 3 or given.type != "tensor(float)":
            told = ", ".join(f"{one.name} {one.type} {one.shape}" for one in self._session.get_inputs())
            raise FeaturesError(
                f"Feature extractor '{source.path}' takes {told}; give one with a single input, float32 (N, 3, height, width)."
            )
        self._input = given.name
        self._size = (given.shape[2], given.shape[3]) if all(isinstance(side, int) for side in given.shape[2:]) else None

    @property
    def words(self) -> str:
        """Its name for a table."""
        return f"{self._source.path.stem}, {self.tensor}"

    def __call__(self, pictures: ImagesU8) -> NDArray[np.float64]:
        """RGB pictures (N, H, W, 3) to features (N, D)."""
        return np.stack([self._one(picture) for picture in pictures])

    def _one(self, picture: ImagesU8) -> NDArray[np.float64]:
        image = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
        if self._size is not None and tuple(image.shape[2:]) != self._size:
            image = F.interpolate(image, size=self._size, mode="bilinear", antialias=True, align_corners=False)
        image = self._source.low + (self._source.high - self._source.low) * image
        fed = image.flip(1) if self._source.is_bgr else image
        (found,) = self._session.run([self.tensor], {self._input: fed.numpy()})
        return _pooled(np.asarray(found, np.float64), self._source.path, self.tensor)


def _pooled(found: NDArray[np.float64], path: Path, tensor: str) -> NDArray[np.float64]:
    """One vector of a map (1, C, H, W), of rows (1, R, C), or as it is (1, C)."""
    if found.ndim == 4 and len(found) == 1:
        pooled: NDArray[np.float64] = found[0].mean(axis=(1, 2))
        return pooled
    if found.ndim == 3 and len(found) == 1:
        rows: NDArray[np.float64] = found[0].mean(axis=0)
        return rows
    if found.ndim == 2 and len(found) == 1:
        vector: NDArray[np.float64] = found[0]
        return vector
    raise FeaturesError(
        f"Tensor '{tensor}' of '{path}' has shape {found.shape}; give one of shape (N, C), (N, rows, C) or (N, C, H, W)."
    )


def _read_model(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load_model(str(path))
    except (OSError, DecodeError) as error:
        raise FeaturesError(
            f"'{path}' cannot be read as an ONNX graph ({error}); give the file of a trained network."
        ) from error


def _with_output(model: onnx.ModelProto, tensor: str, path: Path) -> onnx.ModelProto:
    """The model with an inner tensor among its outputs."""
    if tensor in {output.name for output in model.graph.output}:
        return model
    made = [name for node in model.graph.node for name in node.output]
    if tensor not in made:
        last = ", ".join(made[-5:])
        raise FeaturesError(f"'{path}' has no tensor '{tensor}'; its last ones are {last}.")
    model.graph.output.append(helper.make_empty_tensor_value_info(tensor))
    return model


def _open_session(model: onnx.ModelProto, path: Path, tensor: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, NotImplemented) as error:
        raise FeaturesError(f"onnxruntime cannot open '{path}' with tensor '{tensor}': {error}") from error
