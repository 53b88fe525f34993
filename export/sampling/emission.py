"""The tensors of a sampler graph while it is lowered: vectors in, nodes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch

from samplegraph.export.graph.builder import Builder, data_type, graph_input
from samplegraph.export.sampling.pieces import Pieces, Taken
from samplegraph.export.sampling.segment import Segment
from samplegraph.export.sampling.vector import GraphVector, Shape
from samplegraph.export.signature import BATCH_AXIS, Signature
from samplegraph.schedulers import Affine

#: History rows of more terms than this are emitted instead of carried along.
_CARRIED_TERMS = 2
#: More draws than this in one combination are taken out of ``step_noise`` and summed as one tensor.
_FEW_DRAWS = 3


class Emission:
    """Graph values by symbol name, and the nodes that make them.

    Args:
        exact: make a node of every operation, in eager's order, so that it rounds as eager does.
        pieces: what was traced before.
    """

    def __init__(self, sig: Signature, segment: Segment, *, exact: bool = False, pieces: Pieces | None = None) -> None:
        self.sig, self.segment, self.exact = sig, segment, exact
        self.pieces = pieces or Pieces(sig.example_batch)
        self.inputs = {t.name: graph_input(t.name, t.dtype, t.shape) for t in segment.inputs}
        self.shapes = {t.name: t.shape for t in segment.inputs}
        self.values: dict[str, ir.Value] = {}
        self.draws: dict[str, int] = {}
        self.b = Builder("h")

    def input(self, name: str) -> GraphVector:
        """An input of the graph."""
        return self.symbol(self.inputs[name], self.shapes[name])

    def zero(self) -> GraphVector:
        """A sample of zeros."""
        return GraphVector(self, Affine(), self.sig.output.shape)

    def symbol(self, value: ir.Value, shape: Shape | None = None) -> GraphVector:
        """``1 * value``, of the sample's shape where none is given."""
        assert value.name is not None
        self.values[value.name] = value
        return GraphVector(self, Affine.symbol(value.name), self.sig.output.shape if shape is None else shape)

    def emit(self, vector: GraphVector) -> ir.Value:
        """The tensor of a linear combination: at most one Mul per term and one Add between terms."""
        row = {name: c for name, c in vector.row.terms.items() if c != 0.0}
        if not row:
            like = next((name for name, shape in self.shapes.items() if shape == vector.shape), None)
            if like is None:
                raise TypeError("zeros of a shape that no input has")
            return self.b.one("Mul", [self.inputs[like], self.b.scalar(0.0)])
        if not all(map(math.isfinite, row.values())):
            raise TypeError("a coefficient is not finite")
        drawn = {name: c for name, c in row.items() if name in self.draws and name not in self.values}
        sums = []
        if len(drawn) > _FEW_DRAWS:
            row = {name: c for name, c in row.items() if name not in drawn}
            sums.append((self._sum_of_draws(drawn), 1.0))
        terms = [*((self._value(name), c) for name, c in row.items()), *sums]
        terms.sort(key=lambda term: np.float32(term[1]) != 1)
        total: ir.Value | None = None
        for value, coefficient in terms:
            if np.float32(coefficient) == -1 and total is not None:
                total = self.b.one("Sub", [total, value])
                continue
            scaled = value if np.float32(coefficient) == 1 else self.b.one("Mul", [value, self.b.scalar(coefficient)])
            total = scaled if total is None else self.b.one("Add", [total, scaled])
        assert total is not None
        return self.sized(total) if vector.shape == self.sig.output.shape else total

    def _value(self, name: str) -> ir.Value:
        if name not in self.values:
            index = self.b.constant(np.int64(self.draws[name]))
            self.values[name] = self.b.one("Gather", [self.inputs["step_noise"], index], {"axis": 0})
        return self.values[name]

    def _sum_of_draws(self, row: Mapping[str, float]) -> ir.Value:
        """A combination of draws that nothing else has read, in three nodes."""
        b = self.b
        index = b.constant(np.array([self.draws[name] for name in row], dtype=np.int64))
        weights = np.array(list(row.values()), dtype=np.float32).reshape(-1, *[1] * len(self.sig.output.shape))
        drawn = b.one("Gather", [self.inputs["step_noise"], index], {"axis": 0})
        scaled = b.one("Mul", [drawn, b.constant(weights)])
        return b.one("ReduceSum", [scaled, b.constant(np.zeros(1, dtype=np.int64))], {"keepdims": 0})

    def sized(self, value: ir.Value, shape: Shape | None = None) -> ir.Value:
        """Note the shape, the sample's, where the batch is symbolic: inference loses it at the end of each call."""
        if self.sig.batch is None and value.producer() is not None:
            value.shape = ir.Shape(list(shape or self.sig.output.shape))
            value.type = ir.TensorType(data_type(self.sig.output.dtype if shape is None else "float32"))
        return value

    def shortened(self, vector: GraphVector) -> GraphVector:
        """``vector`` itself if it has few terms, else the symbol of its tensor."""
        if len(vector.row.terms) <= _CARRIED_TERMS:
            return vector
        return self.symbol(vector.value, vector.shape)

    def noise(self) -> GraphVector:
        """The next slice of ``step_noise``, taken out of it where it is first read."""
        name = f"step_noise[{len(self.draws)}]"
        self.draws[name] = len(self.draws)
        return GraphVector(self, Affine.symbol(name), self.shapes["step_noise"][1:])

    def traced(self, function: Callable[..., torch.Tensor], args: Sequence[GraphVector | float]) -> GraphVector:
        """The nodes of a function of tensors, which torch traces at its first call."""
        taken: list[Taken] = []
        values: list[ir.Value] = []
        for each in args:
            vector = each if isinstance(each, GraphVector) else self.symbol(self.b.scalar(each), ())
            values.append(vector.value)
            taken.append((str((values[-1].dtype or ir.DataType.FLOAT).numpy()), vector.shape))
        made = self.pieces.place(self.b, function, taken, values)
        return self.symbol(made, self._shape_of(made))

    def _shape_of(self, value: ir.Value) -> Shape:
        """As the signature has it: an axis that is no number is the batch."""
        if value.shape is None:
            raise TypeError("a value of unknown shape")
        return tuple(n if isinstance(n, int) else BATCH_AXIS for n in value.shape)
