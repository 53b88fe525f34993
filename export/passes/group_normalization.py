"""Pass: a group normalisation that was written out becomes one operator."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.rewrite import constant, constant_of, producer, replace


class GroupNormalizationPass(ir.passes.InPlacePass):
    """``Reshape, InstanceNormalization, Reshape, Mul, Add`` become ``GroupNormalization``, as operator set 21 has it.

    torch's exporter writes these five. Builders of engines take the one as it is; ONNX Runtime's CPU provider has no
    kernel for it and writes it out again.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        for node in model.graph:
            if node.op_type == "Add" and not node.domain:
                modified |= _merge(model.graph, node)
        return ir.passes.PassResult(model, modified)


def _merge(graph: ir.Graph, add: ir.Node) -> bool:
    found = _operand(add, "Mul")
    scaled = _operand(found[0], "Reshape") if found else None
    norm = producer(scaled[0].inputs[0], "InstanceNormalization") if scaled else None
    split = producer(norm.inputs[0], "Reshape") if norm is not None else None
    if found is None or scaled is None or norm is None or split is None:
        return False
    (mul, bias), (merge, scale) = found, scaled
    x, out = split.inputs[0], merge.outputs[0]
    if not all(_read_once(node) for node in (mul, merge, norm)) or x is None or x.shape is None:
        return False
    ones, zeros = constant_of(norm.inputs[1]), constant_of(norm.inputs[2])
    if ones is None or zeros is None or not (ones == 1).all() or zeros.any():
        return False
    groups, cut = len(ones), split.outputs[0].shape
    if cut is None or len(cut) != 3 or cut[1] != groups or out.shape is None or list(out.shape) != list(x.shape):
        return False
    weights = [_per_channel(graph, value, x.shape) for value in (scale, bias)]
    if any(value is None for value in weights):
        return False
    epsilon = norm.attributes["epsilon"].as_float() if "epsilon" in norm.attributes else 1e-5
    replace(add, "GroupNormalization", [x, *weights], {"num_groups": groups, "epsilon": epsilon})
    return True


def _operand(node: ir.Node, op_type: str) -> tuple[ir.Node, ir.Value] | None:
    """Of a sum or product: the operand that an ``op_type`` makes, as that node, and the other one, a constant."""
    for one, other in (node.inputs[:2], node.inputs[1::-1]):
        made = producer(one, op_type)
        if made is not None and other is not None and constant_of(other) is not None:
            return made, other
    return None


def _per_channel(graph: ir.Graph, value: ir.Value, shape: ir.Shape) -> ir.Value | None:
    """``value``, which broadcasts along axis 1 of ``shape`` alone, as a vector; None where it does not."""
    array = constant_of(value)
    if array is None or len(shape) < 2 or array.ndim > len(shape):
        return None
    wide = (1,) * (len(shape) - array.ndim) + array.shape
    if not isinstance(shape[1], int) or wide != (1, shape[1], *[1] * (len(shape) - 2)):
        return None
    return constant(graph, f"{value.name}.vector", np.ascontiguousarray(array.reshape(-1)))


def _read_once(node: ir.Node) -> bool:
    return len(node.outputs[0].uses()) == 1 and not node.outputs[0].is_graph_output()
