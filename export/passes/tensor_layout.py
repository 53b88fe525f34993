"""Pass: the plain form of what only moves data about."""

from __future__ import annotations

import math

import onnx_ir as ir

from samplegraph.export.graph.rewrite import constant_of, integer, permutation, producer, replace


class LayoutPass(ir.passes.InPlacePass):
    """Simplifies ``Reshape`` and ``Transpose``.

    - ``Reshape`` loses ``allowzero`` where its target has no zero, and ``rowwise`` then knows it.
    - ``Reshape-Transpose-Reshape`` that merges axes, permutes and parts them again is one ``Transpose``; the
      exporter swaps the last two axes of attention's keys in that way, and the merged axis hides the batch.
    - ``Transpose`` of ``Transpose`` is one.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        modified = False
        for rule in (_plain_target, _parted_again, _merged):
            for node in model.graph:
                if not node.domain and rule(node):
                    modified = True
        return ir.passes.PassResult(model, modified)


def _plain_target(node: ir.Node) -> bool:
    if node.op_type != "Reshape" or "allowzero" not in node.attributes:
        return False
    target = constant_of(node.inputs[1])
    if integer(node, "allowzero") and (target is None or not target.all()):
        return False
    node.attributes.pop("allowzero")
    return True


def _parted_again(node: ir.Node) -> bool:
    """``node``: the last Reshape of three."""
    transpose = producer(node.inputs[0], "Transpose") if node.op_type == "Reshape" else None
    merge = producer(transpose.inputs[0], "Reshape") if transpose is not None else None
    if transpose is None or merge is None:
        return False
    x, out = merge.inputs[0], node.outputs[0].shape
    groups = _groups(x, merge.outputs[0].shape)
    if x is None or x.shape is None or groups is None or out is None:
        return False
    perm = [axis for group in permutation(transpose) for axis in groups[group]]
    if len(out) != len(perm) or any(x.shape[a] != n for a, n in zip(perm[1:], out[1:], strict=True)):
        return False  # axis 0 follows from the others
    replace(node, "Transpose", [x], {"perm": perm})
    return True


def _groups(x: ir.Value | None, shape: ir.Shape | None) -> list[list[int]] | None:
    """For each axis of ``shape``, the neighbouring axes of ``x`` that were merged into it; None if some were not."""
    if x is None or not x.shape or not shape or not all(isinstance(n, int) for n in [*x.shape[1:], *shape[1:]]):
        return None
    sizes = [n if isinstance(n, int) else 0 for n in x.shape]
    left = list(range(len(sizes)))
    groups: list[list[int]] = []
    for size in reversed([n for n in shape[1:] if isinstance(n, int)]):
        group: list[int] = []
        while left[1:] and math.prod(sizes[a] for a in group) < size:
            group.insert(0, left.pop())
        if math.prod(sizes[a] for a in group) != size:
            return None
        groups.insert(0, group)
    return [left, *groups]


def _merged(node: ir.Node) -> bool:
    """``node``: the second Transpose of two."""
    first = producer(node.inputs[0], "Transpose") if node.op_type == "Transpose" else None
    if first is None:
        return False
    inner = permutation(first)
    replace(node, "Transpose", [first.inputs[0]], {"perm": [inner[a] for a in permutation(node)]})
    return True
