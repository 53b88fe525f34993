"""Weights in float16 or bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.builder import OPSET
from samplegraph.export.passes.scopes import without_root

#: Operator set by element type: Conv and others take bfloat16 from 22 on.
OPSETS = {ir.DataType.FLOAT16: OPSET, ir.DataType.BFLOAT16: 22}
_SMALLEST_NORMAL = {ir.DataType.FLOAT16: 2.0**-14, ir.DataType.BFLOAT16: 2.0**-126}
_NAMES = {ir.DataType.FLOAT16: "fp16", ir.DataType.BFLOAT16: "bf16"}


class NarrowWeights:
    """Tensors converted to ``kind`` so far: one that several graphs hold is converted once."""

    def __init__(self, kind: ir.DataType) -> None:
        self.kind = kind
        self._done: dict[int, tuple[ir.TensorProtocol, ir.TensorProtocol]] = {}
        self._numbers = self._subnormal = self._lost = 0

    def of(self, value: ir.Value) -> ir.TensorProtocol:
        """The initializer ``value``, converted.

        Raises:
            ExportError: see ``converted``.
        """
        source = value.const_value
        assert source is not None
        assert value.name is not None
        if id(source) not in self._done:
            wide = source.numpy()
            array = converted(wide, self.kind, value.name)
            small = (np.abs(array) < _SMALLEST_NORMAL[self.kind]) & (wide != 0)
            self._numbers += array.size
            self._subnormal += int(small.sum())
            self._lost += int((small & (array == 0)).sum())
            self._done[id(source)] = source, ir.Tensor(array, name=value.name)
        return self._done[id(source)][1]

    @property
    def note(self) -> str:
        """How many numbers have fewer digits in ``kind``, or none; empty where all have them."""
        if not self._subnormal:
            return ""
        share = f"{self._subnormal:,} of {self._numbers:,} weights are below {_NAMES[self.kind]}'s normal range"
        return f"{share}, {self._lost:,} of them become 0"


def converted(array: npt.NDArray[Any], kind: ir.DataType, name: str) -> npt.NDArray[Any]:
    """``array`` in ``kind``, rounded to nearest even. A single number beyond the range (a mask's -3e38) saturates.

    Raises:
        ExportError: a weight holds numbers beyond float16's range.
    """
    if kind != ir.DataType.FLOAT16:
        return array.astype(kind.numpy())
    limit = float(np.finfo(np.float16).max)
    beyond = np.isfinite(array) & (np.abs(array) > limit)
    if beyond.any() and array.size > 1:
        largest = float(np.abs(array[beyond]).max())
        raise ExportError(
            f"weight {without_root(name)} holds {largest:.3g}, and float16 ends at {limit:.0f}; keep it "
            f"(keep_fp32={without_root(name)!r}), or use precision=bf16"
        )
    return np.where(beyond, np.sign(array) * limit, array).astype(np.float16)
