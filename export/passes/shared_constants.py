"""One tensor for equal constants of several captures of a network, so that each weight is held and written once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

_HEAD = 16


def share_constants(model: ir.Model, others: Iterable[ir.Model]) -> None:
    """Let ``model`` hold the tensors of ``others`` in place of its own where they are equal, whatever their names."""
    known: dict[tuple[object, ...], list[ir.TensorProtocol]] = defaultdict(list)
    for other in others:
        for value in other.graph.initializers.values():
            if value.const_value is not None:
                known[_key(value.const_value)].append(value.const_value)
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None:
            value.const_value = next((t for t in known[_key(tensor)] if _equal(t, tensor)), tensor)


def _key(tensor: ir.TensorProtocol) -> tuple[object, ...]:
    """What is quickly told apart: dtype, shape and the first numbers."""
    array = tensor.numpy()
    return tensor.dtype, array.shape, array.flat[:_HEAD].tobytes()


def _equal(a: ir.TensorProtocol, b: ir.TensorProtocol) -> bool:
    x, y = a.numpy(), b.numpy()
    same_memory = x.__array_interface__["data"] == y.__array_interface__["data"] and x.strides == y.strides
    return same_memory or np.array_equal(x, y)
