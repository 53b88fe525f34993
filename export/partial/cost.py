"""What a node costs: floating-point operations and bytes written, from its shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import onnx_ir as ir

from samplegraph.export.graph.bindings import CLASSES, Bindings, class_of


@dataclass(frozen=True)
class Cost:
    """Nodes, floating-point operations (a multiply-add is two) and bytes of the values they write."""

    nodes: int = 0
    flops: int = 0
    bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nodes + other.nodes, self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, times: int) -> Cost:
        return Cost(self.nodes * times, self.flops * times, self.bytes * times)


def costs(bindings: Bindings, rows: int) -> dict[str, Cost]:
    """Cost of one evaluation by binding class, in the order of ``CLASSES``.

    Args:
        rows: rows of a call, taken for a symbolic batch axis.
    """
    total = dict.fromkeys(CLASSES, Cost())
    for node, binding in bindings.nodes.items():
        total[class_of(binding)] += node_cost(node, rows)
    return total


@dataclass(frozen=True)
class Work:
    """What a host loop over the denoiser computes, and how much of that the linked graph does not."""

    total: Cost = Cost()
    saved: Cost = Cost()

    def __add__(self, other: Work) -> Work:
        return Work(self.total + other.total, self.saved + other.saved)


def work(bindings: Bindings, rows: int, evaluations: int, halved: Iterable[ir.Node]) -> Work:
    """That of so many evaluations, in each of which the nodes ``halved`` run on half of their rows."""
    by_class = costs(bindings, rows)
    once = by_class["timestep"] * evaluations + by_class["conditions"] * max(evaluations - 1, 0)
    return Work(sum(by_class.values(), Cost()) * evaluations, once + _half_of(halved, rows) * evaluations)


def _half_of(nodes: Iterable[ir.Node], rows: int) -> Cost:
    """What one evaluation saves where ``nodes`` run on half of their rows."""
    whole = sum((node_cost(node, rows) for node in nodes), Cost())
    return Cost(0, whole.flops // 2, whole.bytes // 2)


def node_cost(node: ir.Node, rows: int) -> Cost:
    """Cost of one execution; values of unknown shape count as nothing."""
    sizes = [_elements(value, rows) for value in node.outputs]
    written = sum(n * _width(value) for n, value in zip(sizes, node.outputs, strict=True))
    return Cost(1, _flops(node, sizes[0] if sizes else 0, rows), written)


def _flops(node: ir.Node, out: int, rows: int) -> int:
    shapes = [list(v.shape) if v is not None and v.shape is not None else [] for v in node.inputs]
    match node.op_type:
        case "MatMul" if shapes[0]:
            return 2 * out * _size(shapes[0][-1], rows)
        case "Gemm" if len(shapes[0]) == 2:
            transposed = node.attributes.get("transA")
            return 2 * out * _size(shapes[0][0 if transposed is not None and transposed.as_int() else 1], rows)
        case "Conv" if len(shapes[1]) > 1:
            return 2 * out * math.prod(_size(n, rows) for n in shapes[1][1:])
        case "ConvTranspose" if len(shapes[1]) > 1 and node.inputs[0] is not None:
            return 2 * _elements(node.inputs[0], rows) * math.prod(_size(n, rows) for n in shapes[1][1:])
        case "Reshape" | "Transpose" | "Unsqueeze" | "Squeeze" | "Split" | "Concat" | "Slice" | "Gather" | "Identity":
            return 0
        case "Shape" | "Constant" | "Cast" | "Expand" | "Tile" | "Flatten":
            return 0
        case _:
            return out


def _elements(value: ir.Value, rows: int) -> int:
    return 0 if value.shape is None else math.prod(_size(n, rows) for n in value.shape)


def _size(axis: object, rows: int) -> int:
    return axis if isinstance(axis, int) else rows


def _width(value: ir.Value) -> int:
    return int(value.dtype.itemsize) if value.dtype is not None else 4
