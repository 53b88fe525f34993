"""What is equal in both branches of classifier-free guidance, and so is evaluated once for the two.

A guided call passes the sample twice: rows ``[unconditional, conditional]``. What depends on the sample and the
timestep alone, row by row, is the same in both halves of the rows until a condition enters. Such nodes, *twins*, run
on the rows of one branch; where another node reads them, they are put twice along axis 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.bindings import uses
from samplegraph.export.graph.clone import ValueMap, clone_node
from samplegraph.export.graph.rewrite import constant_of
from samplegraph.export.partial import rowwise
from samplegraph.export.partial.cost import node_cost
from samplegraph.export.partial.fold import Folded
from samplegraph.export.partial.sites import Sites

#: Rows taken for a symbolic batch where costs are compared.
_ROWS = 2


@dataclass(frozen=True)
class Twins:
    """Nodes and values (the sample among them) that are equal in both branches.

    Args:
        constants: per call site, what the nodes read in place of constants that have a row per sample.
        single: values that one branch's only row can stand for, by the node that broadcasts it (batch 1).
    """

    nodes: set[ir.Node]
    values: set[ir.Value]
    constants: list[ValueMap]
    single: dict[ir.Node, set[ir.Value]]


def find(
    nodes: Sequence[ir.Node], sample: ir.Value, rows: int | ir.SymbolicDim, folded: Folded, sites: Sites
) -> Twins:
    """The twins among ``nodes``, the sample-dependent nodes in order; none where that would not pay.

    Args:
        sample: the denoiser's sample input.
        rows: rows of a call, of both branches; a number or the symbolic axis.
    """
    return _Finder(sample, rows, folded, sites).run(nodes)


class _Finder:
    def __init__(self, sample: ir.Value, rows: int | ir.SymbolicDim, folded: Folded, sites: Sites) -> None:
        self.sample, self.rows, self.folded, self.sites = sample, rows, folded, sites
        self.values = {sample}
        self.one_row: dict[ir.Value, bool] = {}
        self.targets: dict[ir.Value, ir.Value] = {}

    def run(self, nodes: Sequence[ir.Node]) -> Twins:
        twins: set[ir.Node] = set()
        for node in nodes:
            if self._is_twin(node):
                twins.add(node)
                self.values.update(node.outputs)
        if not self._pays(nodes, twins):
            return Twins(set(), {self.sample}, [{} for _ in self.sites.own], {})
        narrow = [v for v, is_narrow in self.one_row.items() if is_narrow]
        first_rows = self.sites.numbers.at
        constants = [
            {**self.targets, **{v: first_rows(v, k, True) for v in narrow}} for k, _ in enumerate(self.sites.own)
        ]
        single = {}
        if self.rows == 2:
            single = {node: found for node in nodes if node not in twins and (found := self._broadcast_by(node))}
        return Twins(twins, self.values, constants, single)

    def _is_twin(self, node: ir.Node) -> bool:
        """Whether every row of ``node``'s output depends on the same row of twins, and on constants."""
        flags = [v in self.values for v in node.inputs]
        used = [v for v, flag in zip(node.inputs, flags, strict=True) if v is not None and not flag]
        if not any(flags) or not all(v.const_value is not None or v in self.folded.results[0] for v in used):
            return False
        narrow = {v: self._repeats(node, v) for v in used if v in self.folded.results[0]}
        if any(is_narrow is None or self.one_row.get(v, is_narrow) != is_narrow for v, is_narrow in narrow.items()):
            return False
        rows = [flag or bool(v is not None and narrow.get(v)) for v, flag in zip(node.inputs, flags, strict=True)]
        if not rowwise.can_stack(node, rows, self.rows):
            return False
        self.one_row.update({v: bool(is_narrow) for v, is_narrow in narrow.items()})
        if node.op_type == "Reshape" and node.inputs[1] is not None:
            target = np.array(constant_of(node.inputs[1]))
            if target[0] > 0:
                target[0] = 0  # as many rows as come in
                self.targets[node.inputs[1]] = self.sites.b.constant(target)
        return True

    def _repeats(self, node: ir.Node, value: ir.Value) -> bool | None:
        """Whether one row of the folded ``value`` does for all; None where its rows differ, or cannot be left out."""
        if not rowwise.has_rows(value, self.rows):
            return False
        if not rowwise.broadcasts(node) or len(value.shape or ()) != len(node.outputs[0].shape or ()):
            return None
        same = all((site[value] == site[value][:1]).all() for site in self.folded.results)
        return True if same else None

    def _pays(self, nodes: Sequence[ir.Node], twins: set[ir.Node]) -> bool:
        """Whether half of what the twins compute is more than what is written to put them together again."""
        read = {v for node in nodes if node not in twins for v in uses(node) if v in self.values}
        ends = {v for v in self.values if v.is_graph_output()} | read - {self.sample}
        written = sum(
            math.prod(n if isinstance(n, int) else _ROWS for n in v.shape) for v in ends if v.shape is not None
        )
        return sum(node_cost(node, _ROWS).flops for node in twins) // 2 > written

    def _broadcast_by(self, node: ir.Node) -> set[ir.Value]:
        """Twins that ``node`` may read as one row, since it broadcasts them to another operand that has two."""
        if not rowwise.broadcasts(node):
            return set()
        rank = len(node.outputs[0].shape or ())
        read = {v for v in node.inputs if v in self.values and v is not None and len(v.shape or ()) == rank}
        others = [v for v in node.inputs if v is not None and v not in self.values]
        full = [v for v in others if v.const_value is None and v not in self.folded.results[0]]
        both = any(rowwise.has_rows(v, self.rows) and len(v.shape or ()) == rank for v in full)
        return read if both else set()


def branch_of(value: ir.Value) -> tuple[ir.Value, list[ir.Node]] | None:
    """The tensor that ``value`` holds twice along axis 0, and the casts to place in front of it; None if it does not.

    This is the proof that a call is guided.
    """
    node = value.producer()
    if node is None or node.domain:
        return None
    if node.op_type == "Concat" and len(node.inputs) == 2 and node.inputs[0] is node.inputs[1]:
        source = node.inputs[0]
        return (source, []) if source is not None and node.attributes["axis"].as_int() == 0 else None
    if node.op_type != "Cast" or node.inputs[0] is None:
        return None
    found = branch_of(node.inputs[0])
    if found is None:
        return None
    cast = ir.Node("", "Cast", [found[0]], list(node.attributes.values()), name=f"{node.name}.branch")
    cast.outputs[0].name, cast.outputs[0].type = f"{value.name}.branch", value.type
    cast.outputs[0].shape = found[0].shape
    return cast.outputs[0], [*found[1], cast]


def place(
    nodes: Sequence[ir.Node], twins: Twins, site: int, values: ValueMap, branch: ir.Value, prefix: str
) -> list[ir.Node]:
    """Copies of ``nodes`` for one call site, the twins among them on the rows of ``branch``.

    Args:
        values: what each value is at this site; outputs are entered.
        branch: the sample of one branch.
        prefix: stands in front of all names.
    """
    made: list[ir.Node] = []
    one: ValueMap = {**values, **twins.constants[site]}
    sample = next(iter(v for v in twins.values if v.producer() is None))
    one[sample] = branch

    def twice(value: ir.Value) -> ir.Value:
        if value not in values:
            both = ir.Node("", "Concat", [one[value]] * 2, [ir.AttrInt64("axis", 0)], name=f"{one[value].name}.twice")
            both.outputs[0].name, both.outputs[0].type = f"{one[value].name}.twice", value.type
            if any(not isinstance(n, int) for n in value.shape or ()):
                both.outputs[0].shape = value.shape
            made.append(both)
            values[value] = both.outputs[0]
        return values[value]

    for node in nodes:
        if node in twins.nodes:
            made.append(clone_node(node, one, prefix))
            for old, new in zip(node.outputs, made[-1].outputs, strict=True):
                if new.shape is not None and old.shape is not None and branch.shape is not None:
                    new.shape = ir.Shape([branch.shape[0], *old.shape[1:]])
            continue
        single = twins.single.get(node, set())
        for value in uses(node):
            if value in twins.values and value not in single:
                twice(value)
        made.append(_clone_broadcasting(node, values, one, single, prefix))
    for value in twins.values:
        if value.is_graph_output():
            twice(value)
    return made


def _clone_broadcasting(node: ir.Node, values: ValueMap, one: ValueMap, single: set[ir.Value], prefix: str) -> ir.Node:
    """``clone_node``, with ``single`` read as the one row that a branch has."""
    if not single:
        return clone_node(node, values, prefix)
    inner = {v: one[v] if v in single else values.get(v, v) for v in node.inputs if v is not None}
    copy = clone_node(node, inner, prefix)
    values.update({output: inner[output] for output in node.outputs})
    return copy
