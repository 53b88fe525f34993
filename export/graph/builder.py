"""Appends nodes and deduplicated constants to a graph under construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

#: The operator set of every graph we write.
OPSET = 20
#: Domain and operator of a call of the denoiser before linking.
DOMAIN, CALL = "samplegraph", "Denoiser"
#: Operator that marks the sample after a step in a traced sampler.
VISITED = "Visited"

Array = npt.NDArray[Any]
Constants = dict[tuple[str, tuple[int, ...], bytes], ir.Value]


class Builder:
    """Nodes in execution order and the constants they use; ``prefix`` keeps names apart.

    Args:
        constants: those made before, if they are to be used again.
    """

    def __init__(self, prefix: str = "", constants: Constants | None = None) -> None:
        self.nodes: list[ir.Node] = []
        self.constants: Constants = {} if constants is None else constants
        self._prefix = prefix
        self._names = 0

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
        num_outputs: int = 1,
    ) -> list[ir.Value]:
        """Append a node and return its outputs."""
        attrs = [ir.convenience.convert_attribute(k, v) for k, v in (attributes or {}).items()]
        node = ir.Node(domain, op_type, inputs, attrs, num_outputs=num_outputs)
        for output in node.outputs:
            output.name = f"{self._prefix}{self._names}"
            self._names += 1
        node.name = f"n.{node.outputs[0].name}"
        self.nodes.append(node)
        return list(node.outputs)

    def one(
        self, op_type: str, inputs: Sequence[ir.Value | None], attributes: Mapping[str, Any] | None = None, **kw: Any
    ) -> ir.Value:
        """Append a node with one output and return that."""
        return self.op(op_type, inputs, attributes, **kw)[0]

    def constant(self, array: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> ir.Value:
        """An initializer holding ``array``; equal arrays share one."""
        value = np.ascontiguousarray(array, dtype=dtype)
        value = value.reshape(np.shape(array))
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.constants:
            name = f"{self._prefix}c{len(self.constants)}"
            self.constants[key] = initializer(name, value)
        return self.constants[key]

    def scalar(self, number: float) -> ir.Value:
        """A float32 scalar."""
        return self.constant(np.float32(number))


def initializer(name: str, array: Array) -> ir.Value:
    """A named constant value."""
    tensor = ir.Tensor(array, name=name)
    return ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)


def graph_input(name: str, dtype: str, shape: Sequence[int | str]) -> ir.Value:
    """A named graph input; string axes are symbolic."""
    return ir.Value(name=name, shape=ir.Shape(list(shape)), type=ir.TensorType(data_type(dtype)))


def data_type(name: str) -> ir.DataType:
    """The type that torch and numpy call so."""
    return ir.DataType[{"float32": "FLOAT", "float64": "DOUBLE"}.get(name, name.upper())]


def keeps_name(value: ir.Value) -> bool:
    """Whether a graph's output may be this value: neither an input or constant, nor what a linked site replaces."""
    node = value.producer()
    return node is not None and (node.domain, node.op_type) != (DOMAIN, CALL)
