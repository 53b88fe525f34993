"""onnxscript's optimiser, but for a rule that takes too long and for what it wrongly takes for neutral."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules.common import slice_split_rule

#: Without the rule that goes through the whole graph at every node to join ``Slice`` without steps; torch's have steps.
_RULES = [rule for rule in rewriter._DEFAULT_REWRITE_RULES if rule is not slice_split_rule]
#: Operator -> the constant that does nothing. onnxscript drops what is within 1e-8 of 0, or 1e-5 of 1.
_NEUTRAL = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}
_NEAR = 1e-4


def optimise(model: ir.Model, rounds: int = 1) -> None:
    """onnxscript's ``optimize_ir``, in place. In torch's graphs a second round finds nothing more.

    Small terms stay: ``x / (y + 1e-15)`` without its term is NaN where y is 0. They are graph inputs meanwhile.
    """
    common.InlinePass()(model)
    graph = model.graph
    hidden = _hide(graph)
    for _ in range(rounds):
        optimizer.fold_constants_ir(model, onnx_shape_inference=True)
        ir.passes.Sequential(rewriter.RewritePass(_RULES), common.RemoveUnusedNodesPass())(model)
    ir.passes.Sequential(
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    )(model)
    for kept, tensor in hidden:
        graph.inputs.remove(kept)
        if kept.uses():
            kept.const_value = tensor
            graph.register_initializer(kept)


def _hide(graph: ir.Graph) -> list[tuple[ir.Value, ir.TensorProtocol]]:
    """Put inputs in place of the constants that are nearly neutral and are not."""
    hidden: list[tuple[ir.Value, ir.TensorProtocol]] = []
    for node in graph:
        for position, value in enumerate(node.inputs):
            found = None if value is None else ir.convenience.get_const_tensor(value)
            if found is None or not _nearly_neutral(node, found):
                continue
            name = f"kept_{len(hidden)}"
            kept = ir.Value(name=name, type=ir.TensorType(found.dtype), shape=ir.Shape(found.numpy().shape))
            hidden.append((kept, ir.Tensor(found.numpy(), dtype=found.dtype, name=name)))
            node.replace_input_with(position, kept)
    graph.inputs.extend(kept for kept, _ in hidden)
    return hidden


def _nearly_neutral(node: ir.Node, tensor: ir.TensorProtocol) -> bool:
    neutral = _NEUTRAL.get(node.op_type)
    if neutral is None or tensor.size != 1 or not tensor.dtype.is_floating_point():
        return False
    return 0 < abs(float(tensor.numpy().item()) - neutral) <= _NEAR
