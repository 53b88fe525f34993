"""Pass: the symbolic batch stays visible through every Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

#: Vectors of lengths are no longer than this.
_LONGEST = 16


class StaticReshapePass(ir.passes.InPlacePass):
    """Gives ``Reshape`` a constant target that copies the symbolic row axis: ``[0, 32, 16, 16]``.

    Handles ``Reshape(x, Shape(y))``, which the exporter writes for every group normalisation of a model with a
    symbolic batch, targets put together from slices of shapes, as for attention, and constant targets ``[-1, ...]``.
    All lose the axis in shape inference; unrolled, ONNX Runtime then takes time quadratic in the number of steps to
    load the graph (8 s for ``digits`` at 25 steps). The output's shape is noted.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        constants: dict[tuple[int, ...], ir.Value] = {}
        for node in model.graph:
            if node.op_type != "Reshape" or node.domain or node.inputs[0] is None or node.inputs[1] is None:
                continue
            data, shape = node.inputs
            assert data is not None
            assert shape is not None
            numbers = _target(shape)
            target = _copying_rows(data, numbers)
            if target is None and shape.const_value is None and numbers is not None and 0 not in numbers:
                target = numbers  # attention merges rows and heads and parts them again: computed, and yet constant
            if target is None:
                continue
            if target not in constants:
                constants[target] = _constant(model.graph, target)
            node.outputs[0].shape = _output_shape(data, target, shape)
            node.replace_input_with(1, constants[target])
            node.attributes.pop("allowzero", None)
            modified = True
        return ir.passes.PassResult(model, modified)


def _output_shape(data: ir.Value, target: Sequence[int], shape: ir.Value) -> ir.Shape:
    """What ``Reshape(data, target)`` gives, where ``target`` stands for ``shape``."""
    lengths: list[int | ir.SymbolicDim | None] = list(target)
    for axis, symbol in enumerate(_numbers(shape) or [None] * len(target)):
        if target[axis] == -1:
            lengths[axis] = symbol if isinstance(symbol, ir.SymbolicDim) else None
    if not target[0] and data.shape is not None:
        lengths[0] = data.shape[0]
    return ir.Shape(lengths)


def _target(shape: ir.Value) -> tuple[int, ...] | None:
    """The numbers of a target, constant or computed from shapes, with -1 for one symbolic axis."""
    if shape.const_value is not None:
        return tuple(int(n) for n in shape.const_value.numpy())
    numbers = _numbers(shape)
    if numbers is None or sum(not isinstance(n, int) or n == -1 for n in numbers) > 1:
        return None
    return tuple(n if isinstance(n, int) else -1 for n in numbers)


def _numbers(value: ir.Value | None) -> Sequence[object] | None:
    """The entries of a vector of lengths: numbers and symbolic axes; None where it is not understood."""
    if value is not None and value.const_value is not None and value.const_value.size <= _LONGEST:
        return list(value.const_value.numpy().ravel().tolist()) if len(value.const_value.shape) == 1 else None
    node = value.producer() if value is not None else None
    if node is None or node.domain or node.inputs[0] is None:
        return None
    if node.op_type == "Shape":
        start, end = (node.attributes.get(name) for name in ("start", "end"))
        known = node.inputs[0].shape
        if known is None or any(isinstance(n, ir.SymbolicDim) and n.value is None for n in known):
            return None
        return list(known)[start.as_int() if start else 0 : end.as_int() if end else None]
    if node.op_type == "Concat":
        parts = [_numbers(v) for v in node.inputs]
        return None if any(p is None for p in parts) else [n for p in parts for n in p or ()]
    if node.op_type == "Slice":
        whole, *rest = (_numbers(v) for v in node.inputs)
        if whole is None or not all(r is not None and len(r) == 1 and isinstance(r[0], int) for r in rest):
            return None
        start_at, end_at, *axis_and_step = (int(str(r[0])) for r in rest if r is not None)
        return whole[start_at:end_at] if axis_and_step in ([], [0], [0, 1]) else None
    return None


def _copying_rows(data: ir.Value, target: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """``target`` with 0 in front where that stands for the same symbolic axis; None where it does not."""
    if target is None or not target or target[0] != -1 or any(n < 1 for n in target[1:]):
        return None
    shape = data.shape
    if shape is None or not len(shape) or isinstance(shape[0], int):
        return None
    sizes = [n for n in shape[1:] if isinstance(n, int)]
    if len(sizes) < len(shape) - 1:
        return None
    return (0, *target[1:]) if math.prod(sizes) == math.prod(target[1:]) else None


def _constant(graph: ir.Graph, target: tuple[int, ...]) -> ir.Value:
    name = "reshape_to_" + "_".join(str(n) for n in target)
    tensor = ir.Tensor(np.array(target, dtype=np.int64), name=name)
    value = ir.Value(name=name, shape=ir.Shape([len(target)]), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value
