"""Guidance rescaling as ONNX nodes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.builder import Builder


def rescaled(b: Builder, output: ir.Value, cond: ir.Value, phi: float, rank: int) -> ir.Value:
    """``Guidance.combine``'s rescaling (arXiv:2305.08891, eq. 15 and 16): ``output * (1 - phi + phi * std(cond) /
    std(output))`` with the deviations of each row, of tensors with ``rank`` axes."""
    axes = b.constant(np.arange(1, rank, dtype=np.int64))
    ratio = b.one("Sqrt", [b.one("Div", [_spread(b, cond, axes), _spread(b, output, axes)])])
    factor = b.one("Add", [b.one("Mul", [ratio, b.scalar(phi)]), b.scalar(1 - phi)])
    return b.one("Mul", [output, factor])


def _spread(b: Builder, value: ir.Value, axes: ir.Value) -> ir.Value:
    """(B, 1, ...): the sum of squares around the mean of each row; std's denominator is the same for all."""
    return b.one("ReduceSumSquare", [b.one("Sub", [value, b.one("ReduceMean", [value, axes])]), axes])
