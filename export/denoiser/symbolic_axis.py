"""Names of symbolic axes."""

from __future__ import annotations

import re

import onnx_ir as ir


def with_axis(model: ir.Model, old: str, new: str) -> ir.Model:
    """A copy of ``model`` in which the symbolic axis ``old`` is called ``new``; the constants' tensors are shared.

    In one graph with both branches of guidance in some calls and one in others, equal names would say that they have
    equally many rows.
    """
    copy = model.clone()
    pattern = re.compile(rf"\b{re.escape(old)}\b")
    for value in [*copy.graph.inputs, *(output for node in copy.graph.all_nodes() for output in node.outputs)]:
        if value.shape is not None:
            value.shape = ir.Shape([_renamed(axis, pattern, new) for axis in value.shape])
    return copy


def _renamed(axis: int | ir.SymbolicDim, pattern: re.Pattern[str], new: str) -> int | str | None:
    if isinstance(axis, int):
        return axis
    return None if axis.value is None else pattern.sub(new, axis.value)
