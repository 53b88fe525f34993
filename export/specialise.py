"""Specialises a denoiser for its call sites: what does not depend on the sample leaves the loop.

nothing, timestep        evaluated now: a constant per site (``fold``)
conditions               emitted once, in front of the loop
timestep + conditions    emitted once for the rows of all sites where rows are independent (``rowwise``), else
                         once per site, in front of the loop
sample                   left for each site (``link``)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export import fold, rowwise
from samplegraph.export.bindings import Binding, Bindings, analyse, class_of, uses
from samplegraph.export.builder import Builder
from samplegraph.export.clone import ValueMap, clone_node

Array = npt.NDArray[Any]
#: A folded value whose sites take more bytes than this is recomputed if it is cheap to (an expansion).
FOLD_BUDGET = 1 << 20


@dataclass
class Specialised:
    """A denoiser split at its binding times.

    Args:
        front: nodes to place before the first call.
        sites: per call site, what each value that the sample-dependent nodes read has become.
        nodes: the sample-dependent nodes, to be copied once per site.
        constants: initializers that the result uses beside the weights.
        weights: initializers of the denoiser that are still used.
        counts: nodes by what became of them, for the report.
    """

    front: list[ir.Node]
    sites: list[ValueMap]
    nodes: list[ir.Node]
    constants: list[ir.Value]
    weights: list[ir.Value]
    bindings: Bindings
    counts: dict[str, int] = field(default_factory=dict)


def specialise(
    denoiser: ir.Model, sample: ir.Value, conditions: Sequence[ir.Value], timesteps: Sequence[Array]
) -> Specialised:
    """Split ``denoiser`` for call sites with the given timesteps.

    Args:
        denoiser: graph ``(sample, timestep, *conditions) -> output``.
        sample: the sample that the first site passes; only its number of rows is read.
        conditions: values of the surrounding graph that all sites pass as conditions.
        timesteps: per site, the timestep input: one entry per row, or one entry where the batch is symbolic.
    """
    return _Specialiser(denoiser.graph, sample, conditions, timesteps).run()


class _Specialiser:
    def __init__(
        self, graph: ir.Graph, sample: ir.Value, conditions: Sequence[ir.Value], timesteps: Sequence[Array]
    ) -> None:
        self.graph, self.row_source = graph, sample
        self.sample, self.timestep = graph.inputs[0], graph.inputs[1]
        self.rows = (self.sample.shape or ir.Shape([1]))[0]
        self.bindings = analyse(graph, self.sample, self.timestep)
        self.timesteps = timesteps
        self.b = Builder("d.")
        self.shared: ValueMap = dict(zip(graph.inputs[2:], conditions, strict=True))
        self.sites: list[ValueMap] = [{} for _ in timesteps]
        self.stacked: ValueMap = {}
        self.weights: list[ir.Value] = []
        self.counts = dict.fromkeys(("folded", "hoisted", "batched", "in front per site", "per site"), 0)
        self._row_count: ir.Value | None = None

    def run(self) -> Specialised:
        for value in self.graph.initializers.values():
            copy = ir.Value(name=value.name, type=value.type, shape=value.shape, const_value=value.const_value)
            self.shared[value] = copy
            self.weights.append(copy)
        folded = self._fold()
        nodes = []
        for node in self.graph:
            if node in folded:
                continue
            match class_of(self.bindings.nodes[node]):
                case "sample":
                    nodes.append(node)
                case "conditions":
                    self._hoist(node)
                case _ if not self.bindings.nodes[node]:
                    self._hoist(node)
                case _:
                    self._batch(node)
        self._unstack(nodes)
        self.counts["folded"] = len(folded)
        self.counts["per site"] = len(nodes)
        sites = [{**self.shared, **site} for site in self.sites]
        constants = list(self.b.constants.values())
        return Specialised(self.b.nodes, sites, nodes, constants, self.weights, self.bindings, self.counts)

    # -- nothing, timestep ------------------------------------------------------------------------------------------

    def _fold(self) -> set[ir.Node]:
        """Evaluate what can be; values too large to store are left to be recomputed from smaller ones."""
        kept: set[ir.Node] = set()
        while True:
            folded = fold.foldable(self.bindings, kept)
            wanted = fold.frontier(self.graph, folded)
            results = fold.evaluate(self.graph, self.timestep, wanted, self.timesteps)
            large = {v.producer() for v in wanted if self._is_large(v, results)} - {None}
            if not large:
                break
            kept |= large  # type: ignore[arg-type]
        self.results = results
        for value in wanted:
            arrays = [site[value] for site in results]
            if fold.same_everywhere(results, value):
                self.shared[value] = self.b.constant(self._narrowed(value, arrays[0], folded))
            else:
                for site, array in zip(self.sites, arrays, strict=True):
                    site[value] = self._per_site(value, array, folded)
        return folded

    def _is_large(self, value: ir.Value, results: Sequence[dict[ir.Value, Array]]) -> bool:
        """Over budget, and made from less: an Expand, a Tile, a broadcast."""
        node = value.producer()
        distinct = 1 if fold.same_everywhere(results, value) else len({id(r[value]) for r in results})
        size = results[0][value].nbytes
        if node is None or size * distinct <= FOLD_BUDGET:
            return False
        inputs = sum(_bytes(v) for v in uses(node))
        return 0 < inputs < size

    def _narrowed(self, value: ir.Value, array: Array, folded: set[ir.Node]) -> Array:
        """One row instead of equal rows, where every reader broadcasts it back."""
        if not rowwise.has_rows(value, self.rows) or not array.ndim or len(array) < 2 or not (array == array[:1]).all():
            return array
        return array[:1] if self._readers_broadcast(value, folded) else array

    def _per_site(self, value: ir.Value, array: Array, folded: set[ir.Node]) -> ir.Value:
        constant = self.b.constant(self._narrowed(value, array, folded))
        if isinstance(self.rows, int) or not rowwise.has_rows(value, self.rows):
            return constant
        if self._readers_broadcast(value, folded):
            return constant
        return self._expanded(constant, array.ndim)

    def _readers_broadcast(self, value: ir.Value, folded: set[ir.Node]) -> bool:
        readers = [use.node for use in value.uses() if use.node not in folded]
        rank = len(value.shape or ())
        return value not in self.graph.outputs and all(
            rowwise.broadcasts(node)
            and len(node.outputs[0].shape or ()) == rank
            and any(v is not value and v is not None and rowwise.has_rows(v, self.rows) for v in node.inputs)
            and class_of(self.bindings.nodes[node]) != "timestep+conditions"
            for node in readers
        )

    def _expanded(self, constant: ir.Value, rank: int) -> ir.Value:
        """``constant`` (1, ...) with as many rows as the symbolic batch has."""
        ones = self.b.constant(np.ones(rank - 1, dtype=np.int64))
        shape = self.b.one("Concat", [self._count(), ones], {"axis": 0})
        return self.b.one("Expand", [constant, shape])

    def _count(self) -> ir.Value:
        """The number of rows of a call, (1,) int64, where it is symbolic."""
        if self._row_count is None:
            self._row_count = self.b.one("Shape", [self.row_source], {"start": 0, "end": 1})
        return self._row_count

    # -- conditions, timestep + conditions --------------------------------------------------------------------------

    def _hoist(self, node: ir.Node) -> None:
        self.b.nodes.append(clone_node(node, self.shared, "c."))
        self.counts["hoisted"] += 1

    def _batch(self, node: ir.Node) -> None:
        """Emit a timestep + conditions node once for all sites if its rows are independent, else per site."""
        differs = [value is not None and self._has_site_rows(value) for value in node.inputs]
        mixed = any(
            v is not None and not d and (v in self.sites[0] or v in self.stacked)
            for v, d in zip(node.inputs, differs, strict=True)
        )
        if len(self.sites) > 1 and not mixed and rowwise.can_stack(node, differs, self.rows):
            self._emit_stacked(node, differs)
            self.counts["batched"] += 1
            return
        for value in {v for v in uses(node) if v in self.stacked}:
            self._split(value)
        for k, site in enumerate(self.sites):
            values = {**self.shared, **site}
            self.b.nodes.append(clone_node(node, values, f"t{k}."))
            site.update({output: values[output] for output in node.outputs})
        self.counts["in front per site"] += len(self.sites)

    def _has_site_rows(self, value: ir.Value) -> bool:
        return value in self.stacked or (
            rowwise.has_rows(value, self.rows) and self.bindings.of(value) != Binding.NOTHING
        )

    def _emit_stacked(self, node: ir.Node, differs: Sequence[bool]) -> None:
        values = dict(self.shared)
        for value, differ in zip(node.inputs, differs, strict=True):
            if differ and value is not None:
                values[value] = self._stack(value)
        if node.op_type == "Reshape" and isinstance(self.rows, int):
            target = np.array(rowwise.constant_of(node.inputs[1]))
            if target[0] == self.rows:
                target[0] *= len(self.sites)
                assert node.inputs[1] is not None
                values[node.inputs[1]] = self.b.constant(target)
        self.b.nodes.append(clone_node(node, values, "a."))
        for output in node.outputs:
            values[output].shape = None
            self.stacked[output] = values[output]

    def _stack(self, value: ir.Value) -> ir.Value:
        """The rows of all sites along axis 0."""
        if value in self.stacked:
            return self.stacked[value]
        n = len(self.sites)
        if value in self.sites[0]:
            if value in self.results[0]:
                made = self._stack_constants([site[value] for site in self.results])
            else:
                made = self.b.one("Concat", [site[value] for site in self.sites], {"axis": 0})
        else:
            rank = len(value.shape or ())
            repeats = self.b.constant(np.array([n] + [1] * (rank - 1), dtype=np.int64))
            made = self.b.one("Tile", [self.shared[value], repeats])
        self.stacked[value] = made
        return made

    def _stack_constants(self, arrays: Sequence[Array]) -> ir.Value:
        if isinstance(self.rows, int):
            return self.b.constant(np.concatenate(arrays))
        tail = np.array(arrays[0].shape[1:], dtype=np.int64)
        ones = self.b.constant(np.array([1], dtype=np.int64))
        shape = self.b.one("Concat", [ones, self._count(), self.b.constant(tail)], {"axis": 0})
        wide = self.b.one("Expand", [self.b.constant(np.stack(arrays)), shape])
        target = self.b.constant(np.array([-1, *tail], dtype=np.int64))
        return self.b.one("Reshape", [wide, target])

    def _unstack(self, nodes: Sequence[ir.Node]) -> None:
        """Cut stacked values that sample-dependent nodes or the output read into their sites."""
        wanted = {value for node in nodes for value in uses(node)} | set(self.graph.outputs)
        for value in [v for v in self.stacked if v in wanted]:
            self._split(value)

    def _split(self, value: ir.Value) -> None:
        if value in self.sites[0] or value in self.shared:
            return
        n = len(self.sites)
        parts = self.b.op("Split", [self.stacked[value]], {"axis": 0, "num_outputs": n}, num_outputs=n)
        for site, part in zip(self.sites, parts, strict=True):
            site[value] = part
            if not isinstance(self.rows, int):
                part.shape, part.type = value.shape, value.type


def _bytes(value: ir.Value) -> int:
    if value.const_value is not None:
        return value.const_value.nbytes
    shape = value.shape
    if shape is None or value.dtype is None or not all(isinstance(n, int) for n in shape):
        return 0
    return int(math.prod(int(n) for n in shape if isinstance(n, int)) * value.dtype.itemsize)
