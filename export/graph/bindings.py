"""Binding-time analysis of a captured denoiser: which of its inputs each value depends on."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir


class Binding(enum.IntFlag):
    """The inputs that a value depends on."""

    NOTHING = 0
    TIMESTEP = 1
    CONDITIONS = 2
    SAMPLE = 4


#: The four ways in which a node is treated, by name.
CLASSES = ("timestep", "conditions", "timestep+conditions", "sample")


@dataclass(frozen=True)
class Bindings:
    """The dependence of every value and node of one denoiser graph."""

    values: dict[ir.Value, Binding]
    nodes: dict[ir.Node, Binding]

    def of(self, value: ir.Value | None) -> Binding:
        """Dependence of ``value``; constants and absent inputs depend on nothing."""
        return Binding.NOTHING if value is None else self.values.get(value, Binding.NOTHING)

    def counts(self) -> dict[str, int]:
        """Number of nodes per class."""
        counts = dict.fromkeys(CLASSES, 0)
        for binding in self.nodes.values():
            counts[class_of(binding)] += 1
        return counts


def class_of(binding: Binding) -> str:
    """The class of ``CLASSES`` that a dependence falls into."""
    if binding & Binding.SAMPLE:
        return "sample"
    if not binding & Binding.CONDITIONS:
        return "timestep"
    return "timestep+conditions" if binding & Binding.TIMESTEP else "conditions"


def analyse(graph: ir.Graph, sample: ir.Value, timestep: ir.Value) -> Bindings:
    """Propagate dependence through ``graph`` in execution order; inputs but ``sample`` and ``timestep`` are conditions.

    A node with subgraphs depends on everything that these use from outside. All outputs of a node share its
    dependence.
    """
    values: dict[ir.Value, Binding] = {}
    for value in graph.inputs:
        values[value] = (
            Binding.SAMPLE if value is sample else Binding.TIMESTEP if value is timestep else Binding.CONDITIONS
        )
    nodes: dict[ir.Node, Binding] = {}
    for node in graph:
        binding = Binding.NOTHING
        for used in uses(node):
            binding |= values.get(used, Binding.NOTHING)
        nodes[node] = binding
        for output in node.outputs:
            values[output] = binding
    return Bindings(values, nodes)


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """Graphs held by ``node``'s attributes."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def uses(node: ir.Node) -> Iterator[ir.Value]:
    """Values that ``node`` reads, those its subgraphs read from outside included."""
    yield from (value for value in node.inputs if value is not None)
    for graph in subgraphs(node):
        inside: set[ir.Value] = {*graph.inputs, *graph.initializers.values()}
        for inner in graph:
            yield from (value for value in uses(inner) if value not in inside)
            inside.update(inner.outputs)
        yield from (value for value in graph.outputs if value not in inside)
