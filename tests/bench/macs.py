"""Counts the multiply-accumulates of an ONNX graph from its shapes. It runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import onnx

Shape = tuple[int, ...]
Counter = Callable[[list[Shape], Shape], int]


def _convolution(inputs: list[Shape], output: Shape) -> int:
    return prod(output) * prod(inputs[1][1:])  # weight: (out, in / groups, *kernel)


def _transposed_convolution(inputs: list[Shape], _output: Shape) -> int:
    return prod(inputs[0]) * prod(inputs[1][1:])  # weight: (in, out / groups, *kernel); each input value is spread over all


def _matrix_product(inputs: list[Shape], output: Shape) -> int:
    return prod(output) * inputs[0][-1]


def _general_product(inputs: list[Shape], output: Shape) -> int:
    shared = prod(inputs[0]) // output[0]  # whichever way A lies: its other side
    return prod(output) * shared


COUNTERS: dict[str, Counter] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MatMul": _matrix_product,
    "Gemm": _general_product,
}


def count_macs(model: onnx.ModelProto, batch_size: int = 1, side: int = 256) -> int:
    """Multiply-accumulates of one run; where heights and widths of inputs are free they are `side` pixels.

    Raises:
        ValueError: A shape that matters cannot be inferred.
    """
    shapes = _shapes(model, batch_size, side)
    return sum(_count_node(node, shapes) for node in model.graph.node if node.op_type in COUNTERS)


def _count_node(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    names = [*node.input[:2], node.output[0]]
    unknown = [name for name in names if name not in shapes]
    if unknown:
        raise ValueError(f"{node.op_type} '{node.name}': the shape of {', '.join(unknown)} cannot be inferred.")
    return COUNTERS[node.op_type]([shapes[name] for name in names[:2]], shapes[names[2]])


def _shapes(model: onnx.ModelProto, batch_size: int, side: int) -> dict[str, Shape]:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in fixed.graph.input:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if not dimension.HasField("dim_value"):
                dimension.dim_value = side if axis else batch_size
    for value in fixed.graph.output:  # follows from the inputs
        value.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dimensions: Any = value.type.tensor_type.shape.dim
        if all(dimension.HasField("dim_value") for dimension in dimensions):
            shapes[value.name] = tuple(dimension.dim_value for dimension in dimensions)
    return shapes
