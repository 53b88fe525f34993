"""What a scheduler computes with while it is lowered: values of the sampler graph under construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir
import torch

from samplegraph.export.graph.builder import Builder
from samplegraph.schedulers import Affine

Shape = tuple[int | str, ...]


class Emitter(Protocol):
    """Where vectors become nodes; ``exact`` where each operation is to be one, in the order it was written."""

    b: Builder
    exact: bool

    def emit(self, vector: GraphVector) -> ir.Value:
        """The tensor of a linear combination."""
        ...

    def symbol(self, value: ir.Value, shape: Shape | None = None) -> GraphVector:
        """``1 * value``, of the sample's shape where none is given."""
        ...

    def traced(self, function: Callable[..., torch.Tensor], args: Sequence[GraphVector | float]) -> GraphVector:
        """The nodes of a function of tensors."""
        ...


class GraphVector:
    """``Affine`` over values of a graph, and what is more than linear as nodes: products, powers, norms.

    Sums and multiples are combined as they are written and emitted only where a tensor is needed, unless the emitter
    is ``exact``. ``shape`` is the tensor's, a name for a symbolic axis.
    """

    __slots__ = ("emitter", "row", "shape")

    def __init__(self, emitter: Emitter, row: Affine, shape: Shape) -> None:
        self.emitter = emitter
        self.row = row
        self.shape = shape

    @property
    def value(self) -> ir.Value:
        """Its tensor."""
        return self.emitter.emit(self)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __add__(self, other: GraphVector | float) -> GraphVector:
        if isinstance(other, GraphVector):
            return self._combined(self.row + other.row, _broadcast(self.shape, other.shape))
        return self._node("Add", self.shape, self.value, self._number(other)) if other else self

    def __sub__(self, other: GraphVector) -> GraphVector:
        return self._combined(self.row - other.row, _broadcast(self.shape, other.shape))

    def __rsub__(self, number: float) -> GraphVector:
        return self._node("Sub", self.shape, self._number(number), self.value)

    def __neg__(self) -> GraphVector:
        return self._combined(-self.row, self.shape)

    def __mul__(self, other: GraphVector | float) -> GraphVector:
        if isinstance(other, GraphVector):
            return self._node("Mul", _broadcast(self.shape, other.shape), self.value, other.value)
        return self._combined(self.row * other, self.shape)

    __rmul__ = __mul__

    def __truediv__(self, other: GraphVector | float) -> GraphVector:
        if isinstance(other, GraphVector):
            return self._node("Div", _broadcast(self.shape, other.shape), self.value, other.value)
        if self.emitter.exact and other != 1:
            return self._node("Div", self.shape, self.value, self._number(other))
        return self._combined(self.row / other, self.shape)

    def __rtruediv__(self, number: float) -> GraphVector:
        return self._node("Div", self.shape, self._number(number), self.value)

    def __pow__(self, exponent: float) -> GraphVector:
        return self._node("Pow", self.shape, self.value, self._number(exponent))

    def norm(self, p: float, *, dim: tuple[int, ...], keepdim: bool) -> GraphVector:
        """Euclidean norm (p = 2) over these axes, which stay with length 1, as ``torch.Tensor.norm``."""
        if p != 2 or not keepdim:
            raise TypeError(f"the norm of p={p}, keepdim={keepdim}")
        axes = self.emitter.b.constant(np.array(dim, dtype=np.int64))
        shape = tuple(1 if axis in dim else n for axis, n in enumerate(self.shape))
        return self._node("ReduceL2", shape, self.value, axes)

    def mean(self) -> GraphVector:
        """Mean of all entries, as ``torch.Tensor.mean``."""
        return self._node("ReduceMean", (), self.value, keepdims=0)

    def through(self, function: Callable[..., torch.Tensor], args: Sequence[GraphVector | float]) -> GraphVector:
        """``function(*args)``, a function of tensors, as nodes."""
        return self.emitter.traced(function, args)

    def _combined(self, row: Affine, shape: Shape) -> GraphVector:
        made = GraphVector(self.emitter, row, shape)
        if not self.emitter.exact or not any(row.terms.values()):
            return made
        return self.emitter.symbol(made.value, shape)

    def _node(self, op_type: str, shape: Shape, *inputs: ir.Value, **attributes: Any) -> GraphVector:
        return self.emitter.symbol(self.emitter.b.one(op_type, inputs, attributes), shape)

    def _number(self, number: float) -> ir.Value:
        return self.emitter.b.scalar(number)


def _broadcast(one: Shape, other: Shape) -> Shape:
    """Of an operation on tensors of these shapes."""
    pairs = zip_longest(reversed(one), reversed(other), fillvalue=1)
    return tuple(n if m == 1 else m for m, n in pairs)[::-1]
