"""Detectors in YOLOX's layout whose answers are known: graphs of a node or three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
"""Pixels of the input: grids of 8, 4 and 2 cells."""
ROWS = 8 * 8 + 4 * 4 + 2 * 2
CLASSES = ("cat", "dog", "person")


@dataclass(frozen=True)
class Answer:
    """What the graph finds, whatever it is shown: centre and size in pixels of its input, a score by class.

    Attributes:
        row: Of the output in which it is written; its cell and stride follow from it.
    """

    row: int
    center: tuple[float, float]
    size: tuple[float, float]
    scores: tuple[float, ...]
    objectness: float = 1.0

    def encoded(self) -> list[float]:
        """The row, by the inverse of xy = (p + cell) * stride, wh = exp(p) * stride."""
        column, line, stride = cell_of(self.row)
        x, y = self.center[0] / stride - column, self.center[1] / stride - line
        return [x, y, np.log(self.size[0] / stride), np.log(self.size[1] / stride), self.objectness, *self.scores]


def cell_of(row: int) -> tuple[int, int, int]:
    """Column, line and stride of a row of the output."""
    for stride in (8, 16, 32):
        cells = SIDE // stride
        if row < cells * cells:
            return row % cells, row // cells, stride
        row -= cells * cells
    raise AssertionError("no such row")


def detector_file(path: Path, answers: Sequence[Answer], classes: int = len(CLASSES)) -> Path:
    """Always finds `answers`."""
    return save(path, [constant("output", answer_rows(answers, classes))])


def answer_rows(answers: Sequence[Answer], classes: int = len(CLASSES)) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rows = np.zeros((1, ROWS, 5 + classes), np.float32)
    for answer in answers:
        rows[0, answer.row] = answer.encoded()
    return rows


MIDDLE = Answer(0, (32, 32), (32, 32), (0, 0, 0))


def pixel_detector_file(path: Path, x: int, y: int, thing: Answer = MIDDLE, others: Sequence[Answer] = ()) -> Path:
    """Finds `others`, and a thing whose scores by class are blue, green and red of pixel (x, y) of the input, over 255."""
    nodes = [
        constant("rows", answer_rows([thing, *others])),
        constant("starts", np.array([y, x])),
        constant("ends", np.array([y + 1, x + 1])),
        constant("axes", np.array([2, 3])),
        constant("shape", np.array([1, 1, 3])),
        constant("pads", np.array([0, thing.row, 5, 0, ROWS - 1 - thing.row, 0])),
        constant("white", np.array(255, np.float32)),
        helper.make_node("Slice", ["images", "starts", "ends", "axes"], ["pixel"]),
        helper.make_node("Reshape", ["pixel", "shape"], ["bgr"]),
        helper.make_node("Pad", ["bgr", "pads"], ["padded"]),
        helper.make_node("Div", ["padded", "white"], ["scores"]),
        helper.make_node("Add", ["rows", "scores"], ["output"]),
    ]
    return save(path, nodes)


def color_detector_file(path: Path) -> Path:
    """Sees nothing but colour: scores by class are the mean blue, green and red of each cell, over 256."""
    nodes = [constant("range", np.array(256, np.float32)), helper.make_node("Div", ["images", "range"], ["bgr"])]
    for stride in (8, 16, 32):
        cells = (SIDE // stride) ** 2
        nodes += [
            constant(f"first{stride}", np.full((1, 5, cells), 0.5, np.float32)),  # boxes and objectness
            constant(f"shape{stride}", np.array([1, 3, cells])),
            helper.make_node("AveragePool", ["bgr"], [f"mean{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2),
            helper.make_node("Reshape", [f"mean{stride}", f"shape{stride}"], [f"scores{stride}"]),
            helper.make_node("Concat", [f"first{stride}", f"scores{stride}"], [f"level{stride}"], axis=1),
        ]
    nodes += [
        helper.make_node("Concat", ["level8", "level16", "level32"], ["columns"], axis=2),
        helper.make_node("Transpose", ["columns"], ["output"], perm=[0, 2, 1]),
    ]
    return save(path, nodes)


def constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))


def save(path: Path, nodes: Sequence[onnx.NodeProto], shape: Sequence[int | str] = (1, 3, SIDE, SIDE)) -> Path:
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "detector", [image], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path
