"""Specialises a denoiser for its call sites: what does not depend on the sample leaves the loop.

nothing, timestep        evaluated now: a constant per site (``fold``)
conditions               emitted once, in front of the loop
timestep + conditions    emitted once for the rows of all sites where rows are independent (``rowwise``), else
                         once per site, in front of the loop
sample                   left for each site (``link``), before conditions enter for one branch of guidance (``twins``)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.graph.bindings import Bindings, analyse, class_of, uses
from samplegraph.export.graph.builder import Builder, Constants
from samplegraph.export.graph.clone import ValueMap
from samplegraph.export.partial import fold, rowwise
from samplegraph.export.partial.numbers import Baked, ConstantTable, Numbers, Tabled
from samplegraph.export.partial.sites import Sites
from samplegraph.export.partial.twins import Twins, find
from samplegraph.export.storage.weights import SMALL

Array = npt.NDArray[Any]


#: What becomes of a node of the denoiser.
FATES = ("folded", "hoisted", "batched", "in front per site", "per site")


@dataclass
class Specialised:
    """A denoiser split at its binding times.

    Args:
        front: nodes to place before the first call.
        sites: per call site, what each value that the sample-dependent nodes read has become.
        nodes: the sample-dependent nodes, to be copied once per site.
        twins: those of them that are equal in both branches of a guided call.
        constants: initializers that the result uses beside the weights.
        weights: initializers of the denoiser that no call site before these has brought.
        counts: nodes by what became of them, for the report.
    """

    front: list[ir.Node]
    sites: list[ValueMap]
    nodes: list[ir.Node]
    constants: list[ir.Value]
    weights: list[ir.Value]
    bindings: Bindings
    twins: Twins
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class Shared:
    """What the groups of calls in one graph have in common.

    Args:
        constants: initializers made so far.
        weights: initializers of the denoisers by the identity of their tensor.
        extras: those that only groups after the first bring, such as targets of reshapes; not counted as weights, so
            that graphs with fewer groups have the same ones.
    """

    constants: Constants = field(default_factory=dict)
    weights: dict[int, ir.Value] = field(default_factory=dict)
    extras: list[ir.Value] = field(default_factory=list)
    groups: int = 0


def specialise(
    denoiser: ir.Model,
    sample: ir.Value,
    conditions: Sequence[ir.Value],
    timesteps: Sequence[Array],
    shared: Shared | None = None,
    table: ConstantTable | None = None,
) -> Specialised:
    """Split ``denoiser`` for call sites with the given timesteps.

    Args:
        denoiser: graph ``(sample, timestep, *conditions) -> output``.
        sample: the sample that the first site passes; only its number of rows is read.
        conditions: values of the surrounding graph that all sites pass as conditions.
        timesteps: per site, the timestep input: one entry per row, or one entry where the batch is symbolic.
        shared: of the graph, where it has other call sites too.
        table: what the sites' constants are read from where they are no part of the graph; it has the timesteps.
    """
    return _Specialiser(denoiser.graph, sample, conditions, timesteps, shared or Shared(), table).run()


class _Specialiser:
    def __init__(
        self,
        graph: ir.Graph,
        sample: ir.Value,
        conditions: Sequence[ir.Value],
        timesteps: Sequence[Array],
        common: Shared,
        table: ConstantTable | None,
    ) -> None:
        self.tag = f"g{common.groups}." if common.groups else ""
        own_sample, timestep = graph.inputs[0], graph.inputs[1]
        self.graph = graph
        self.rows = (own_sample.shape or ir.Shape([1]))[0]
        self.bindings = analyse(graph, own_sample, timestep)
        self.folded = fold.fold(graph, self.bindings, timestep, table.timesteps if table else timesteps)
        shared: ValueMap = dict(zip(graph.inputs[2:], conditions, strict=True))
        self.weights: list[ir.Value] = []
        for value in graph.initializers.values():
            if id(value.const_value) not in common.weights:
                name = f"{self.tag}{value.name}"
                copy = ir.Value(name=name, type=value.type, shape=value.shape, const_value=value.const_value)
                common.weights[id(value.const_value)] = copy
                is_extra = common.groups and value.const_value is not None and value.const_value.nbytes < SMALL
                (common.extras if is_extra else self.weights).append(copy)
            shared[value] = common.weights[id(value.const_value)]
        builder = Builder(f"{self.tag}d.", common.constants)
        results = self.folded.results
        self.everywhere = Baked(builder, results[:1])
        numbers: Numbers = Tabled(builder, self.folded, table) if table else Baked(builder, results)
        self.sites = Sites(builder, shared, self.rows, sample, numbers, self.tag)
        common.groups += 1
        self.counts = dict.fromkeys(FATES, 0)

    def run(self) -> Specialised:
        self._place_constants()
        nodes = []
        for node in self.graph:
            if node in self.folded.nodes:
                self.counts["folded"] += 1
            elif class_of(self.bindings.nodes[node]) == "sample":
                nodes.append(node)
                self.counts["per site"] += 1
            elif any(self.sites.differs(value) for value in uses(node)):
                self._batch(node)
            else:
                self.sites.emit_shared(node, f"{self.tag}c.")
                self.counts["hoisted"] += 1
        self.sites.unstack([value for node in nodes for value in uses(node)] + list(self.graph.outputs))
        twins = find(nodes, self.graph.inputs[0], self.rows, self.folded, self.sites)
        b, sites = self.sites.b, [{**self.sites.shared, **own} for own in self.sites.own]
        constants = list(b.constants.values())
        return Specialised(b.nodes, sites, nodes, constants, self.weights, self.bindings, twins, self.counts)

    def _place_constants(self) -> None:
        """Folded values become constants: one for all sites where they are equal, one row where that is enough."""
        for value in self.folded.results[0]:
            if not any(use.node not in self.folded.nodes for use in value.uses()) and value not in self.graph.outputs:
                continue
            if self.folded.same_everywhere(value):
                self.sites.shared[value] = self._constant(self.everywhere, value, 0)
            else:
                for k, own in enumerate(self.sites.own):
                    own[value] = self._constant(self.sites.numbers, value, k)

    def _constant(self, numbers: Numbers, value: ir.Value, site: int) -> ir.Value:
        rank = self.folded.results[0][value].ndim
        if not rowwise.has_rows(value, self.rows) or not rank:
            return numbers.at(value, site)
        narrow = self._readers_broadcast(value)
        if not isinstance(self.rows, int):
            made = numbers.at(value, site)
            return made if narrow else self.sites.expanded(made, rank)
        return numbers.at(value, site, narrow and numbers.repeats(value, site))

    def _readers_broadcast(self, value: ir.Value) -> bool:
        """Whether all readers are elementwise beside another operand that has the rows."""
        readers = [use.node for use in value.uses() if use.node not in self.folded.nodes]
        rank = len(value.shape or ())
        return value not in self.graph.outputs and all(
            rowwise.broadcasts(node)
            and len(node.outputs[0].shape or ()) == rank
            and any(v is not value and v is not None and self._brings_rows(v) for v in node.inputs)
            and class_of(self.bindings.nodes[node]) == "sample"
            for node in readers
        )

    def _brings_rows(self, value: ir.Value) -> bool:
        return rowwise.has_rows(value, self.rows) and value not in self.folded.results[0]

    def _batch(self, node: ir.Node) -> None:
        """Emit a timestep + conditions node once for all sites if its rows are independent, else per site."""
        has_rows = [v is not None and self._has_rows(v) for v in node.inputs]
        mixed = any(
            v is not None and not rows and self.sites.differs(v) for v, rows in zip(node.inputs, has_rows, strict=True)
        )
        if len(self.sites) > 1 and not mixed and rowwise.can_stack(node, has_rows, self.rows):
            self.sites.emit_stacked(node, has_rows)
            self.counts["batched"] += 1
        else:
            self.sites.emit_each(node, list(uses(node)))
            self.counts["in front per site"] += len(self.sites)

    def _has_rows(self, value: ir.Value) -> bool:
        """Whether axis 0 of ``value``, which is not a weight, is as long as the batch."""
        return value in self.sites.stacked or (value.const_value is None and rowwise.has_rows(value, self.rows))
