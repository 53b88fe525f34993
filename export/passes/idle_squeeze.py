"""Squeezes of an axis that is not 1."""

from __future__ import annotations

import onnx_ir as ir


class IdleSqueezePass(ir.passes.InPlacePass):
    """``Squeeze`` of one axis whose length is known and not 1 -> its input.

    torch leaves such a tensor as it is (PixArt's output is squeezed that way), and its exporter writes a ``Squeeze``
    all the same, which is not valid.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        for node in model.graph:
            if node.op_type == "Squeeze" and node.domain == "" and _is_idle(node):
                assert node.inputs[0] is not None
                ir.convenience.replace_all_uses_with(node.outputs[0], node.inputs[0], replace_graph_outputs=True)
                model.graph.remove(node, safe=True)
                modified = True
        return ir.passes.PassResult(model, modified=modified)


def _is_idle(node: ir.Node) -> bool:
    source, axes = node.inputs[0], node.inputs[1] if len(node.inputs) > 1 else None
    constant = ir.convenience.get_const_tensor(axes) if axes is not None else None
    if source is None or source.shape is None or constant is None or constant.size != 1:
        return False
    length = source.shape[int(constant.numpy().item())]
    return isinstance(length, int) and length != 1
