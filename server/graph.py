"""Reads what an ONNX file refers to, without running it: external data and operators of other domains.

It follows protobuf's wire format through the few messages that can hold either, so that the server needs no `onnx` package.
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto gives the field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from server.errors import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_CHILDREN: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 25: "Function"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_FUNCTION_DOMAIN, _NODE_OPERATOR, _NODE_DOMAIN, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 10, 4, 7, 13, 14
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


@dataclass
class GraphFacts:
    """What the file refers to outside itself and outside the ONNX standard."""

    has_external_data: bool = False
    operators: set[tuple[str, str]] = field(default_factory=set)
    own_domains: set[str] = field(default_factory=set)

    def custom_operators(self) -> list[str]:
        """Operators that neither the standard nor a function inside the file defines, as `domain::name`."""
        allowed = _STANDARD_DOMAINS | self.own_domains
        return sorted(f"{domain}::{name}" for domain, name in self.operators if domain not in allowed)


def check_self_contained(content: bytes, name: str) -> None:
    """Refuses a graph that reads other files or needs operators that are not part of ONNX; `name` is its file's.

    Raises:
        ModelError: says what is wrong and how to export instead.
    """
    facts = GraphFacts()
    try:
        _walk(memoryview(content), "Model", facts)
    except (IndexError, ValueError, UnicodeDecodeError):
        raise ModelError(f"{name} is not an ONNX file or is truncated; export or copy it again.") from None
    if facts.has_external_data:
        raise ModelError(f"{name} keeps weights in other files; export it with all weights inside.")
    custom = facts.custom_operators()
    if custom:
        raise ModelError(f"{name} needs operators outside the ONNX standard: {', '.join(custom[:5])}; export without them.")


def _walk(message: memoryview, kind: str, facts: GraphFacts) -> None:
    children = _CHILDREN[kind]
    operator, domain = "", ""
    for number, value in _fields(message):
        if number in children and isinstance(value, memoryview):
            _walk(value, children[number], facts)
        elif kind == "Node" and number == _NODE_OPERATOR:
            operator = _text(value)
        elif kind == "Node" and number == _NODE_DOMAIN:
            domain = _text(value)
        elif kind == "Function" and number == _FUNCTION_DOMAIN:
            facts.own_domains.add(_text(value))
        elif kind == "Tensor" and (number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value == 1)):
            facts.has_external_data = True
    if kind == "Node":
        facts.operators.add((domain, operator))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(message, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(message):
            raise ValueError("truncated")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")


def _text(value: int | memoryview) -> str:
    return bytes(value).decode("utf-8") if isinstance(value, memoryview) else ""
