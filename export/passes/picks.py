"""Pass: single entries are picked before a Transpose, not after it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.rewrite import constant, constant_of, insert, integer, permutation, replace


class PicksPass(ir.passes.InPlacePass):
    """Where all that is read of a ``Transpose`` are the entries along one axis, splits first and transposes each.

    This is ``q, k, v = qkv.reshape(B, tokens, 3, heads, d).permute(2, 0, 3, 1, 4)``: the batch stays in front, and
    what is split is the output of a linear layer (``SplitLinearPass`` then splits its weight).
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        for node in model.graph:
            if node.op_type == "Transpose" and not node.domain:
                modified |= _picked_first(model.graph, node)
        return ir.passes.PassResult(model, modified)


def _picked_first(graph: ir.Graph, node: ir.Node) -> bool:
    x, out = node.inputs[0], node.outputs[0]
    found = _picks(out) if x is not None and x.shape is not None else None
    if x is None or x.shape is None or found is None:
        return False
    perm = permutation(node)
    (axis, picks), rank = found, len(perm)
    source = perm[axis]
    count = x.shape[source]
    if not isinstance(count, int) or set(picks) != set(range(count)):
        return False
    one = ir.Shape([1 if a == source else n for a, n in enumerate(x.shape)])
    rest = ir.Shape([n for a, n in enumerate(x.shape) if a != source])
    names = [f"{out.name}.{k}" for k in range(count)]
    parts = insert(node, "Split", [x], {"axis": source, "num_outputs": count}, names, [one] * count)
    axes = constant(graph, f"axis_{source}", np.array([source], dtype=np.int64))
    reduced = [a - (a > source) for a in perm if a != source]
    for part, index in zip(parts, range(count), strict=True):
        narrow = insert(node, "Squeeze", [part, axes], {}, [f"{part.name}.narrow"], [rest])[0]
        for reader in picks[index]:
            replace(reader, "Transpose", [narrow], {"perm": reduced})
    assert len(reduced) == rank - 1
    return True


def _picks(value: ir.Value) -> tuple[int, dict[int, list[ir.Node]]] | None:
    """The one axis along which all readers pick single entries, and by index the nodes that give an entry."""
    axes: set[int] = set()
    picks: dict[int, list[ir.Node]] = {}
    if value.is_graph_output() or not value.shape:
        return None
    for use in value.uses():
        found = _picked(use.node, len(value.shape))
        if not found:
            return None
        for axis, index, nodes in found:
            axes.add(axis)
            picks.setdefault(index, []).extend(nodes)
    return (axes.pop(), picks) if len(axes) == 1 else None


def _picked(node: ir.Node, rank: int) -> list[tuple[int, int, list[ir.Node]]]:
    """``(axis, index, nodes that give the entry)`` per entry that ``node`` picks; empty if it does other things."""
    if node.domain:
        return []
    numbers = [constant_of(v) for v in node.inputs[1:]]
    if node.op_type == "Gather" and numbers[0] is not None and numbers[0].ndim == 0 and int(numbers[0]) >= 0:
        return [(integer(node, "axis") % rank, int(numbers[0]), [node])]
    if node.op_type == "Slice" and len(numbers) >= 3 and all(n is not None and n.size == 1 for n in numbers):
        start, end, axis, *_ = (int(n.item()) for n in numbers if n is not None)
        nodes = squeezes(node.outputs[0], axis % rank, rank)
        return [(axis % rank, start, nodes)] if 0 <= start == end - 1 and nodes else []
    if node.op_type == "Split":
        axis = integer(node, "axis") % rank
        found = [(axis, k, squeezes(v, axis, rank)) for k, v in enumerate(node.outputs) if v.uses()]
        return found if all(nodes for _, _, nodes in found) else []
    return []


def squeezes(value: ir.Value, axis: int, rank: int) -> list[ir.Node]:
    """The readers of ``value`` if it has length 1 along ``axis`` and all of them take that axis away."""
    nodes = [use.node for use in value.uses()]
    for node in nodes:
        axes = constant_of(node.inputs[1]) if node.op_type == "Squeeze" and len(node.inputs) > 1 else None
        if axes is None or [int(a) % rank for a in axes] != [axis]:
            return []
    return nodes if value.shape and value.shape[axis] == 1 and not value.is_graph_output() else []
