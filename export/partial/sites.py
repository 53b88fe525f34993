"""The values of a denoiser at its call sites: shared by all, one per site, or stacked.

A stacked value holds the rows of all N sites, one site after the other, along axis 0 (see ``rowwise``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.builder import Builder
from samplegraph.export.graph.clone import ValueMap, clone_node
from samplegraph.export.graph.rewrite import constant_of
from samplegraph.export.partial.numbers import Numbers


class Sites:
    """What each value of the denoiser has become, and the nodes made for that in front of the first call.

    Args:
        rows: rows of a call, a number or the symbolic axis.
        row_source: a value whose axis 0 is the rows of a call, read where they are symbolic.
        numbers: of the values that have been folded, at each site.
        tag: stands in front of all names.
    """

    def __init__(
        self,
        builder: Builder,
        shared: ValueMap,
        rows: object,
        row_source: ir.Value,
        numbers: Numbers,
        tag: str = "",
    ) -> None:
        self._tag = tag
        self.b, self.shared, self.rows, self.numbers = builder, shared, rows, numbers
        self.own: list[ValueMap] = [{} for _ in range(numbers.count)]
        self.stacked: ValueMap = {}
        self._row_source = row_source
        self._row_count: ir.Value | None = None

    def __len__(self) -> int:
        return len(self.own)

    def differs(self, value: ir.Value) -> bool:
        """Whether sites hold different tensors for ``value``."""
        return value in self.own[0] or value in self.stacked

    def emit_shared(self, node: ir.Node, prefix: str) -> None:
        """Place one copy of ``node`` for all sites."""
        self.b.nodes.append(clone_node(node, self.shared, prefix))

    def emit_each(self, node: ir.Node, used: Sequence[ir.Value]) -> None:
        """Place one copy of ``node``, which reads ``used``, per site."""
        self.unstack(used)
        for k, site in enumerate(self.own):
            values = {**self.shared, **site}
            self.b.nodes.append(clone_node(node, values, f"{self._tag}t{k}."))
            site.update({output: values[output] for output in node.outputs})

    def emit_stacked(self, node: ir.Node, stacked: Sequence[bool]) -> None:
        """Place one copy of ``node`` that works on the rows of all sites; ``stacked`` says which inputs have rows."""
        values = dict(self.shared)
        for value, is_stacked in zip(node.inputs, stacked, strict=True):
            if is_stacked and value is not None:
                values[value] = self._stack(value)
        if node.op_type == "Reshape" and isinstance(self.rows, int):
            target = np.array(constant_of(node.inputs[1]))
            if target[0] == self.rows:
                target[0] *= len(self)
                assert node.inputs[1] is not None
                values[node.inputs[1]] = self.b.constant(target)
        self.b.nodes.append(clone_node(node, values, f"{self._tag}a."))
        for output in node.outputs:
            values[output].shape = None
            self.stacked[output] = values[output]

    def unstack(self, wanted: Sequence[ir.Value]) -> None:
        """Cut those of ``wanted`` that are stacked into their sites."""
        n = len(self)
        for value in dict.fromkeys(wanted):
            if value not in self.stacked or value in self.own[0] or value in self.shared:
                continue
            parts = self.b.op("Split", [self.stacked[value]], {"axis": 0, "num_outputs": n}, num_outputs=n)
            for site, part in zip(self.own, parts, strict=True):
                site[value] = part
                if not isinstance(self.rows, int):
                    part.shape, part.type = value.shape, value.type

    def expanded(self, constant: ir.Value, rank: int) -> ir.Value:
        """``constant`` (1, ...) with as many rows as a symbolic batch has."""
        tail = [self.b.constant(np.ones(rank - 1, dtype=np.int64))] if rank > 1 else []
        shape = self.b.one("Concat", [self._count(), *tail], {"axis": 0}) if tail else self._count()
        return self.b.one("Expand", [constant, shape])

    def _count(self) -> ir.Value:
        """The number of rows of a call, (1,) int64, where it is symbolic."""
        if self._row_count is None:
            self._row_count = self.b.one("Shape", [self._row_source], {"start": 0, "end": 1})
        return self._row_count

    def _stack(self, value: ir.Value) -> ir.Value:
        if value in self.stacked:
            return self.stacked[value]
        if value in self.numbers:
            made = self._stack_constants(value)
        elif value in self.own[0]:
            made = self.b.one("Concat", [site[value] for site in self.own], {"axis": 0})
        else:
            repeats = np.array([len(self)] + [1] * (len(value.shape or ()) - 1), dtype=np.int64)
            made = self.b.one("Tile", [self.shared[value], self.b.constant(repeats)])
        self.stacked[value] = made
        return made

    def _stack_constants(self, value: ir.Value) -> ir.Value:
        if isinstance(self.rows, int):
            return self.numbers.stacked(value)
        tail = np.array(self.numbers.shape(value)[1:], dtype=np.int64)
        ones = self.b.constant(np.array([1], dtype=np.int64))
        shape = self.b.one("Concat", [ones, self._count(), self.b.constant(tail)], {"axis": 0})
        wide = self.b.one("Expand", [self.numbers.each(value), shape])
        target = self.b.constant(np.array([-1, *tail], dtype=np.int64))
        return self.b.one("Reshape", [wide, target])
