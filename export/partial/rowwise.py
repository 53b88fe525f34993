"""Which nodes treat the rows of a batch independently, so that many call sites can share one evaluation.

A value is *stacked* when it holds the rows of all N call sites, one site after the other, along axis 0. A node may
run on stacked inputs when every row of its output depends on the same row of its stacked inputs only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from samplegraph.export.graph.rewrite import constant_of

_UNARY = frozenset(
    "Abs Cast Ceil Clip Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log Mish Neg Not "
    "Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Tanh".split()
)
_BROADCAST = frozenset("Add Sub Mul Div Pow Max Min Mean Sum Where Equal Greater Less And Or PRelu".split())


def can_stack(node: ir.Node, stacked: Sequence[bool], rows: int | ir.SymbolicDim) -> bool:
    """Whether ``node`` may run on the rows of all sites at once.

    Args:
        stacked: per input, whether it would be stacked (it has a row axis) rather than shared by all sites.
        rows: rows of one site, the length of axis 0; may be symbolic.
    """
    rule = _RULES.get(node.op_type) if node.domain == "" else None
    if rule is None or not stacked or not any(stacked):
        return False
    if any(output.shape is None or not len(output.shape) or output.shape[0] != rows for output in node.outputs):
        return False
    return rule(node, stacked)


def has_rows(value: ir.Value, rows: int | ir.SymbolicDim) -> bool:
    """Whether axis 0 of ``value`` is as long as the batch."""
    return value.shape is not None and len(value.shape) > 0 and value.shape[0] == rows


def broadcasts(node: ir.Node) -> bool:
    """Whether ``node`` is elementwise with broadcasting over all its inputs."""
    return node.domain == "" and node.op_type in _BROADCAST


def _first_only(node: ir.Node, stacked: Sequence[bool]) -> bool:
    return stacked[0] and not any(stacked[1:])


def _broadcast(node: ir.Node, stacked: Sequence[bool]) -> bool:
    """Stacked operands have the output's rank; shared ones broadcast along axis 0."""
    rank = len(node.outputs[0].shape or ())
    for value, is_stacked in zip(node.inputs, stacked, strict=True):
        if value is None or value.shape is None:
            return False
        if len(value.shape) == rank and not is_stacked and value.shape[0] != 1:
            return False
        if is_stacked and len(value.shape) != rank:
            return False
    return True


def _matmul(node: ir.Node, stacked: Sequence[bool]) -> bool:
    a, b = (value.shape for value in node.inputs if value is not None)
    if a is None or b is None or not stacked[0]:
        return False
    if stacked[1]:
        return len(a) == len(b) >= 3
    return len(b) == 2 and len(a) >= 2


def _gemm(node: ir.Node, stacked: Sequence[bool]) -> bool:
    if not _first_only(node, stacked) or _int(node, "transA", 0):
        return False
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    return bias is None or (bias.shape is not None and (len(bias.shape) < 2 or bias.shape[0] == 1))


def _axis(default: int) -> Callable[[ir.Node, Sequence[bool]], bool]:
    """Nodes that work along ``axis``, which must not be the row axis."""

    def rule(node: ir.Node, stacked: Sequence[bool]) -> bool:
        value = node.inputs[0]
        if value is None or value.shape is None:
            return False
        return _first_only(node, stacked) and _int(node, "axis", default) % len(value.shape) != 0

    return rule


def _layer_norm(node: ir.Node, stacked: Sequence[bool]) -> bool:
    """Scale and bias must not reach the row axis."""
    others = [value.shape for value in node.inputs[1:] if value is not None]
    rank = len((node.inputs[0].shape if node.inputs[0] is not None else None) or ())
    return _axis(-1)(node, stacked) and all(shape is not None and len(shape) < rank for shape in others)


def _gather(node: ir.Node, stacked: Sequence[bool]) -> bool:
    """Within rows, or from a shared table by rows of indices."""
    return _axis(0)(node, stacked) or (list(stacked) == [False, True] and not _int(node, "axis", 0))


def _pool(node: ir.Node, stacked: Sequence[bool]) -> bool:
    """Without indices, which count through the rows."""
    return _first_only(node, stacked) and len(node.outputs) == 1


def _reduce(node: ir.Node, stacked: Sequence[bool]) -> bool:
    """Along constant axes other than the row axis."""
    axes = constant_of(node.inputs[1]) if len(node.inputs) > 1 else None
    rank = len((node.inputs[0].shape if node.inputs[0] is not None else None) or (1,))
    return _first_only(node, stacked) and axes is not None and axes.size > 0 and all(int(a) % rank for a in axes)


def _concat(node: ir.Node, stacked: Sequence[bool]) -> bool:
    return all(stacked) and _int(node, "axis", 0) % len(node.outputs[0].shape or (1,)) != 0


def _axes_input(node: ir.Node, stacked: Sequence[bool]) -> bool:
    """Squeeze and Unsqueeze by constant axes other than the row axis."""
    axes = constant_of(node.inputs[1]) if len(node.inputs) > 1 else None
    shape = max((len(v.shape or ()) for v in (node.inputs[0], node.outputs[0]) if v is not None), default=0)
    return _first_only(node, stacked) and axes is not None and all(int(a) % shape for a in axes)


def _slice(node: ir.Node, stacked: Sequence[bool]) -> bool:
    axes = constant_of(node.inputs[3]) if len(node.inputs) > 3 else None
    value = node.inputs[0]
    if value is None or value.shape is None or axes is None:
        return False
    return _first_only(node, stacked) and all(int(a) % len(value.shape) for a in axes)


def _transpose(node: ir.Node, stacked: Sequence[bool]) -> bool:
    perm = node.attributes.get("perm")
    return perm is not None and perm.as_ints()[0] == 0


def _reshape(node: ir.Node, stacked: Sequence[bool]) -> bool:
    """Rows stay rows where the target is constant and its first entry is the batch, or 0 or -1 standing for it."""
    target = constant_of(node.inputs[1])
    return _first_only(node, stacked) and target is not None and not _int(node, "allowzero", 0)


def _group_norm(node: ir.Node, stacked: Sequence[bool]) -> bool:
    return _first_only(node, stacked)


def _int(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


_RULES: dict[str, Callable[[ir.Node, Sequence[bool]], bool]] = {
    **dict.fromkeys(_UNARY, _first_only),
    **dict.fromkeys(_BROADCAST, _broadcast),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _first_only,
    "ConvTranspose": _first_only,
    **dict.fromkeys("AveragePool MaxPool GlobalAveragePool GlobalMaxPool".split(), _pool),
    **dict.fromkeys("ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceL2 ReduceSumSquare".split(), _reduce),
    "DepthToSpace": _first_only,
    "SpaceToDepth": _first_only,
    "InstanceNormalization": _group_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "Softmax": _axis(-1),
    "LogSoftmax": _axis(-1),
    "Flatten": _axis(1),
    "Split": _axis(0),
    "Gather": _gather,
    "Concat": _concat,
    "Squeeze": _axes_input,
    "Unsqueeze": _axes_input,
    "Slice": _slice,
    "Transpose": _transpose,
    "Reshape": _reshape,
}
