"""Pass: the symbolic batch stays visible through every Reshape."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir


class StaticReshapePass(ir.passes.InPlacePass):
    """Gives ``Reshape`` a constant target that copies the symbolic row axis: ``[0, 32, 16, 16]``.

    Handles ``Reshape(x, Shape(y))``, which the exporter writes for every group normalisation of a model with a
    symbolic batch, and constant targets ``[-1, ...]``. Both lose the axis in shape inference; unrolled, ONNX
    Runtime then takes time quadratic in the number of steps to load the graph (8 s for ``digits`` at 25 steps).
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        constants: dict[tuple[int, ...], ir.Value] = {}
        for node in model.graph:
            if node.op_type != "Reshape" or node.domain:
                continue
            data, shape = node.inputs
            target = _copying_rows(data, _target(shape)) if data is not None and shape is not None else None
            if target is None:
                continue
            if target not in constants:
                constants[target] = _constant(model.graph, target)
            node.replace_input_with(1, constants[target])
            node.attributes.pop("allowzero", None)
            modified = True
        return ir.passes.PassResult(model, modified)


def _target(shape: ir.Value) -> tuple[int, ...] | None:
    """The numbers of a constant target or of ``Shape(y)``, with -1 for one symbolic axis."""
    if shape.const_value is not None:
        return tuple(int(n) for n in shape.const_value.numpy())
    node = shape.producer()
    if node is None or node.op_type != "Shape" or node.domain or node.inputs[0] is None:
        return None
    if any(name in node.attributes and node.attributes[name].as_int() for name in ("start", "end")):
        return None
    known = node.inputs[0].shape
    return None if known is None else tuple(n if isinstance(n, int) else -1 for n in known)


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
