"""From an exportable module to one self-contained ONNX file: traced with a dynamic batch, weights stored as float16.

It writes no manifest and judges no pictures.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper
from onnxscript.optimizer import optimize_ir
from torch import Tensor, nn

from training.families.protocol import Exportable

OPSET = 18
OUTPUT_NAME = "result"
"""ONNX forbids that an output has the name of an input, and inputs are called `image`."""
STYLE_NAME = "style"
LATENT_NAME = "latent"
"""Input and output of the second graph."""
PICTURE_WORDS = "All arithmetic of the served graph: uint8 images in, uint8 image out."
ENCODER_WORDS = "All arithmetic from a picture to its latent: uint8 image in, float32 latent out."
HALF_MIN_ELEMENTS = 256
"""Smaller tensors stay float32: a Cast node would cost more than it saves."""
TRACE_BATCH = 2
"""With a batch of 1 the exporter takes the batch for a constant."""


_WRAPPED = "module."
"""What `_Positional` puts before the name of every weight."""


class ExportError(RuntimeError):
    """The graph could not be exported, or does not do what the module does."""


def rounded_to_half(module: nn.Module) -> nn.Module:
    """A copy whose weights are all representable in float16, so that storing them so loses nothing more.

    Raises:
        ExportError: A weight is too large for float16.
    """
    rounded = copy.deepcopy(module).eval()
    with torch.no_grad():
        for name, tensor in [*rounded.named_parameters(), *rounded.named_buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
                if not bool(torch.isfinite(tensor).all()):
                    raise ExportError(f"Weight '{name}' is beyond float16 (65504) or not finite; the run has diverged.")
    return rounded


def write_graph(exportable: Exportable, inputs: Sequence[Tensor], path: Path) -> None:
    """Traces the module and writes the graph to `path`.

    Args:
        exportable: With weights already rounded to float16.
        inputs: One example of each graph input, first axis `TRACE_BATCH`.

    Raises:
        ExportError: The exporter failed or made something the contract forbids.
    """
    names = [*exportable.image_names, *([exportable.latent.name] if exportable.latent else [])]
    names += [parameter.name for parameter in exportable.parameters]
    _save(_trace(exportable.module, inputs, names, _dynamic_shapes(exportable), OUTPUT_NAME, PICTURE_WORDS), path)


def write_encoder(encoder: nn.Module, style: Tensor, path: Path) -> None:
    """Traces the second graph of a model, from a picture to a latent, and writes it to `path`.

    Args:
        encoder: With weights already rounded to float16.
        style: Two pictures, uint8 (2, H, W, 3).

    Raises:
        ExportError: The exporter failed or made something the contract forbids.
    """
    axes = {0: torch.export.Dim("batch", min=1, max=1024)}
    _save(_trace(encoder, [style], [STYLE_NAME], (axes,), LATENT_NAME, ENCODER_WORDS), path)


def _save(model: onnx.ModelProto, path: Path) -> None:
    store_weights_as_half(model)
    _check_portable(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, str(path))


def store_weights_as_half(model: onnx.ModelProto) -> int:
    """Stores large float32 initialisers as float16 followed by a Cast, which runtimes fold at load. Returns how many.

    Only tensors that float16 represents exactly are changed: the arithmetic stays what it was, in float32.
    """
    casts, count = [], 0
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < HALF_MIN_ELEMENTS:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT, name=f"{name}_to_float"))
        count += 1
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights of a graph that `write_graph` made, float32, by the names that they have in the exported module.

    Raises:
        ExportError: The file is missing or is no ONNX graph.
    """
    try:
        model = onnx.load_model(str(path))
    except (OSError, DecodeError) as error:
        raise ExportError(
            f"'{path}' cannot be read as an ONNX graph ({error}); give a model.onnx that was exported."
        ) from error
    named = ((tensor.name.removesuffix("_half"), tensor) for tensor in model.graph.initializer)
    return {
        name.removeprefix(_WRAPPED): torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
        for name, tensor in named
        if name.startswith(_WRAPPED)
    }


def _dynamic_shapes(exportable: Exportable) -> tuple[dict[int, Any], ...]:
    """Which axes of each input are free: the batch, and of images height and width where the graph takes more than one size."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    axes: dict[int, Any] = {0: batch}
    if step := exportable.size_multiple_of:
        axes |= {axis: step * torch.export.Dim(name, min=2, max=8192 // step) for axis, name in ((1, "rows"), (2, "columns"))}
    numbers = len(exportable.parameters) + (exportable.latent is not None)
    return (*(axes for _ in exportable.image_names), *({0: batch} for _ in range(numbers)))


def _trace(
    module: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    shapes: tuple[dict[int, Any], ...],
    output: str,
    words: str,
) -> onnx.ModelProto:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        # The exporter reports its stages on stdout and warns of its own internals; errors still come through.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Positional(module).eval(),
                tuple(inputs),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(names),
                output_names=[output],
                dynamic_shapes=(shapes,),
                external_data=False,
                verbose=False,
                optimize=False,
            )
            if program is not None:
                optimize_ir(program.model, should_fold=_leaves_weights)
    except Exception as error:  # the exporter raises many types of its own
        raise ExportError(f"The exporter failed: {str(error.__cause__ or error).splitlines()[0]}") from error
    if program is None:
        raise ExportError("The exporter returned nothing.")
    model = program.model_proto
    _forget_origins(model)
    model.producer_name, model.producer_version = "inkwash-train", torch.__version__
    model.doc_string = words
    return model


def _forget_origins(model: onnx.ModelProto) -> None:
    """Removes what the exporter notes of each node: the lines of code it came from, with the paths of this machine."""
    graph = model.graph
    noted = (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in noted:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _leaves_weights(node: Any) -> bool | None:
    """Forbids the optimiser to compute with weights beforehand: they would lose their names, and a folded kernel is larger.

    Runtimes do it when they load the graph. None leaves the choice to the optimiser.
    """
    return False if any(value is not None and value.name.startswith(_WRAPPED) for value in node.inputs) else None


class _Positional(nn.Module):
    """Gives every module the same signature, whatever its inputs are called."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        result: Tensor = self.module(*inputs)
        return result


def _check_portable(model: onnx.ModelProto) -> None:
    custom = sorted({f"{node.domain}::{node.op_type}" for node in model.graph.node if node.domain not in ("", "ai.onnx")})
    if custom or model.functions:
        names = ", ".join(custom) or ", ".join(function.name for function in model.functions)
        raise ExportError(f"The graph holds operators outside the ONNX standard ({names}); write the family without them.")
    fixed = [value.name for value in model.graph.input if value.type.tensor_type.shape.dim[0].HasField("dim_value")]
    if fixed:
        raise ExportError(f"The batch axis of {', '.join(fixed)} became fixed in the export; free the family's graph of it.")
    if model.opset_import[0].version < 17:
        raise ExportError(f"The graph has opset {model.opset_import[0].version}; 17 is the least.")
