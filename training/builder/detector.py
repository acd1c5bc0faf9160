"""Which things are in a photo and where: an ONNX detector in YOLOX's layout, the user's own file. It decides nothing.

The layout (Ge et al. 2021, "YOLOX", as its `tools/export_onnx.py` writes it): input (1, 3, H, W) BGR in [0, 255] float32, the
photo at its top left and 114 around it; output (1, rows, 5 + classes), a row for each cell of the grids at strides 8, 16, 32:
centre and size still to be decoded, objectness, scores by class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.builder.box import Box
from training.builder.journal import BuildError

STRIDES = (8, 16, 32)
PAD_VALUE = 114
MAX_OVERLAP = 0.45
"""Of two boxes of one class that overlap more, as intersection over union, the weaker is dropped; YOLOX's own value."""
MAX_LOG_SIZE = 20
"""exp(20) cells is wider than any picture: a larger number is no logarithm of a box's size."""

# fmt: off
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light", "fire hydrant",
    "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra",
    "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork",
    "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
    "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""Names of the classes that detectors learned on COCO know, in their order."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Detection:
    """One thing that was found: its class, how sure the detector is in [0, 1], and where."""

    name: str
    score: float
    box: Box


class Detector:
    """A detector's file, opened on the CPU; the same photo always gives the same answer."""

    def __init__(self, path: Path, classes: Sequence[str] = COCO, threads: int = 1) -> None:
        """Opens the file and runs it once.

        Args:
            classes: What the detector's classes are called, in their order.
            threads: How many of the processor's cores a photo may use.

        Raises:
            BuildError: The file is missing, is no ONNX file, or is not in YOLOX's layout; the message says what was found.
        """
        self._session = _open_session(path, threads)
        self._classes = tuple(classes)
        self._input = self._session.get_inputs()[0].name
        self._height, self._width = _input_size(path, self._session)
        self._centers, self._strides = _grid(self._height, self._width)
        self._check_output(path)

    def __call__(self, photo_u8: NDArray[np.uint8], min_score: float) -> list[Detection]:
        """Everything found in an RGB photo (H, W, 3) with at least that score, the surest first; boxes end at its borders."""
        height, width = photo_u8.shape[:2]
        scale = min(self._height / height, self._width / width)
        rows = self._run(self._letterboxed(photo_u8, scale))
        scores = rows[:, 4:5] * rows[:, 5:]  # (rows, classes)
        cells, indices = np.nonzero(scores >= min_score)
        boxes, sure = _decode(rows[:, :4], self._centers, self._strides)[cells] / scale, scores[cells, indices]
        kept = _suppressed(boxes, sure, indices)
        whole = Box.whole((width, height))
        return [Detection(self._classes[indices[k]], float(sure[k]), Box(*map(float, boxes[k])).meet(whole)) for k in kept]

    def opinions(self, photo_u8: NDArray[np.uint8]) -> FloatArray:
        """What the detector makes of places of an RGB photo (H, W, 3) 8 pixels of its input apart: (rows, columns, features).

        The features are logits of objectness and of every class, and raw boxes, at all three strides. They say far more of a
        place than the few boxes that survive: where fur is, and where a couch.
        """
        scale = min(self._height / photo_u8.shape[0], self._width / photo_u8.shape[1])
        rows = self._run(self._letterboxed(photo_u8, scale))
        scores = np.clip(rows[:, 4:], 1e-9, 1 - 1e-6)
        features = np.concatenate([rows[:, :4], np.log(scores / (1 - scores))], axis=1)
        size = (self._width // STRIDES[0], self._height // STRIDES[0])
        levels = np.split(features, np.cumsum([self._cells(stride) for stride in STRIDES[:-1]]))
        maps = [
            resized(level.reshape(self._height // stride, self._width // stride, -1), size)
            for level, stride in zip(levels, STRIDES, strict=True)
        ]
        used = (max(round(side * scale / STRIDES[0]), 1) for side in photo_u8.shape[:2])
        return np.concatenate(maps, axis=2)[: next(used), : next(used)]

    def _cells(self, stride: int) -> int:
        return (self._height // stride) * (self._width // stride)

    def _letterboxed(self, photo_u8: NDArray[np.uint8], scale: float) -> FloatArray:
        """The photo as the graph's input, (1, 3, H, W) BGR."""
        height, width = (max(round(side * scale), 1) for side in photo_u8.shape[:2])
        canvas = np.full((self._height, self._width, 3), PAD_VALUE, np.float32)
        canvas[:height, :width] = cv2.resize(photo_u8, (width, height), interpolation=cv2.INTER_LINEAR)[..., ::-1]
        return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])

    def _run(self, image: FloatArray) -> FloatArray:
        rows: FloatArray = self._session.run(None, {self._input: image})[0][0]
        return rows

    def _check_output(self, path: Path) -> None:
        found = self._session.run(None, {self._input: np.full((1, 3, self._height, self._width), PAD_VALUE, np.float32)})[0]
        expected = (1, len(self._centers), 5 + len(self._classes))
        if found.shape[:2] != expected[:2] or found.ndim != 3:
            raise _other_layout(path, f"its output is {_shape(found.shape)}", f"{_shape(expected)} at this size of its input")
        if np.abs(found[..., 2:4]).max() > MAX_LOG_SIZE:
            raise _other_layout(path, "its boxes are decoded already", "logarithms of widths and heights")
        if found.shape[2] != expected[2]:
            raise BuildError(
                f"Detector '{path}' knows {found.shape[2] - 5} classes and {len(self._classes)} names are given; "
                "list all of its classes in their order as `classes`."
            )


def resized(image: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Of any number of channels (H, W, C), to a size (width, height), bilinear."""
    step = 4  # OpenCV's resize takes no more channels
    parts = (image[..., first : first + step] for first in range(0, image.shape[2], step))
    scaled = (cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_LINEAR) for part in parts)
    return np.concatenate([part.reshape(size[1], size[0], -1) for part in scaled], axis=2)


def _open_session(path: Path, threads: int) -> Any:
    import onnxruntime

    if not path.is_file():
        raise BuildError(
            f"Detector '{path}' is no file; give the path of an ONNX detector in YOLOX's layout (such as yolox_nano.onnx of "
            "YOLOX's releases), or leave `detector` out to take whole photos."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no other ancestor
        raise BuildError(f"Detector '{path}' is no ONNX file that can be opened: {error}; download it again.") from error


def _input_size(path: Path, session: Any) -> tuple[int, int]:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise _other_layout(path, f"it has {len(inputs)} inputs and {len(outputs)} outputs", "one of each")
    shape, kind = inputs[0].shape, inputs[0].type
    sized = len(shape) == 4 and all(isinstance(side, int) and side % STRIDES[-1] == 0 for side in shape[2:])
    if kind != "tensor(float)" or not sized or shape[1] != 3 or (isinstance(shape[0], int) and shape[0] != 1):
        raise _other_layout(path, f"its input is {kind} {_shape(shape)}", "tensor(float) 1 x 3 x H x W, sides multiples of 32")
    return shape[2], shape[3]


def _other_layout(path: Path, found: str, expected: str) -> BuildError:
    return BuildError(
        f"Detector '{path}' is not in YOLOX's layout: {found}, expected {expected}; export it as YOLOX's tools/export_onnx.py "
        "does, without --decode_in_inference."
    )


def _shape(sides: Sequence[Any]) -> str:
    return " x ".join(str(side) for side in sides)


def _grid(height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Column and row of every cell (rows, 2), and its stride (rows, 1), in the order of the output."""
    cells, strides = [], []
    for stride in STRIDES:
        ys, xs = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([xs.ravel(), ys.ravel()], axis=1))
        strides.append(np.full((xs.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _decode(raw: FloatArray, cells: FloatArray, strides: FloatArray) -> FloatArray:
    """Left, top, right, bottom (rows, 4) in pixels of the graph's input: xy = (p + cell) * stride, wh = exp(p) * stride."""
    centers, sizes = (raw[:, :2] + cells) * strides, np.exp(raw[:, 2:4]) * strides
    return np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1)


def _suppressed(boxes: FloatArray, scores: FloatArray, classes: NDArray[np.intp]) -> list[int]:
    """Non-maximum suppression within each class: indices of what stays, the surest first."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        box = Box(*map(float, boxes[index]))
        rivals = (k for k in kept if classes[k] == classes[index])
        if all(box.overlap(Box(*map(float, boxes[k]))) <= MAX_OVERLAP for k in rivals):
            kept.append(index)
    return kept
