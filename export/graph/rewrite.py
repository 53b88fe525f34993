"""What rewriting passes share: reading a node's attributes, and putting nodes and constants into a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.graph.builder import initializer


def producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    """The node that makes ``value`` if it is an ``op_type``."""
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == op_type and not node.domain else None


def constant_of(value: ir.Value | None) -> np.ndarray | None:
    """The numbers of a constant, or None."""
    return value.const_value.numpy() if value is not None and value.const_value is not None else None


def permutation(transpose: ir.Node) -> list[int]:
    """The permutation of a ``Transpose``."""
    perm = transpose.attributes.get("perm")
    if perm is not None:
        return list(perm.as_ints())
    return list(range(len(transpose.outputs[0].shape or ())))[::-1]


def integer(node: ir.Node, name: str, default: int = 0) -> int:
    """An integer attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def attributes(given: Mapping[str, Any]) -> list[ir.Attr]:
    """Attributes from Python values."""
    return [ir.convenience.convert_attribute(k, v) for k, v in given.items()]


def insert(
    before: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    given: Mapping[str, Any],
    names: Sequence[str],
    shapes: Sequence[ir.Shape],
) -> list[ir.Value]:
    """A new node in front of ``before``; its outputs have the type of its first input."""
    node = ir.Node("", op_type, inputs, attributes(given), num_outputs=len(names), name=f"n.{names[0]}")
    for output, name, shape in zip(node.outputs, names, shapes, strict=True):
        assert inputs[0] is not None
        output.name, output.shape, output.type = name, shape, inputs[0].type
    node.metadata_props.update(before.metadata_props)
    assert before.graph is not None
    before.graph.insert_before(before, [node])
    return list(node.outputs)


def replace(node: ir.Node, op_type: str, inputs: Sequence[ir.Value | None], given: Mapping[str, Any]) -> None:
    """A new node in the place of ``node``, which has one output."""
    new = ir.Node("", op_type, inputs, attributes(given), name=node.name)
    new.metadata_props.update(node.metadata_props)
    assert node.graph is not None
    ir.convenience.replace_nodes_and_values(node.graph, node, [node], [new], node.outputs, new.outputs)


def constant(graph: ir.Graph, name: str, array: npt.NDArray[Any]) -> ir.Value:
    """The initializer ``name`` of ``graph``, made where it is missing; a name stands for one array."""
    if name not in graph.initializers:
        graph.register_initializer(initializer(name, array))
    return graph.initializers[name]
