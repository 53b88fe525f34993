"""Copies nodes under a substitution of values."""

from __future__ import annotations

import onnx_ir as ir

ValueMap = dict[ir.Value, ir.Value]


def clone_node(node: ir.Node, values: ValueMap, prefix: str) -> ir.Node:
    """A copy of ``node`` that reads ``values[v]`` where it read ``v``; its outputs are entered into ``values``.

    Values without an entry are read as they are (shared weights). New names are the old ones behind ``prefix``.
    Subgraphs are copied with it.
    """
    inputs = [values.get(v, v) if v is not None else None for v in node.inputs]
    attributes = [_attribute(a, values, prefix) for a in node.attributes.values()]
    copy = ir.Node(node.domain, node.op_type, inputs, attributes, num_outputs=len(node.outputs), overload=node.overload)
    for old, new in zip(node.outputs, copy.outputs, strict=True):
        if old.shape is not None and any(not isinstance(n, int) for n in old.shape):
            new.shape = old.shape  # a symbolic axis that inference would lose
        new.name = f"{prefix}{old.name}" if old.name else old.name
        new.type = old.type
        values[old] = new
    copy.name = f"{prefix}{node.name or node.outputs[0].name}"
    return copy


def _attribute(attribute: ir.Attr, values: ValueMap, prefix: str) -> ir.Attr:
    if attribute.type == ir.AttributeType.GRAPH:
        return ir.AttrGraph(attribute.name, clone_graph(attribute.as_graph(), values, prefix))
    if attribute.type == ir.AttributeType.GRAPHS:
        return ir.AttrGraphs(attribute.name, [clone_graph(g, values, prefix) for g in attribute.as_graphs()])
    return attribute


def clone_graph(graph: ir.Graph, values: ValueMap, prefix: str) -> ir.Graph:
    """A copy of a subgraph; what it reads from outside is substituted by ``values``."""
    inner = dict(values)
    inputs = []
    for value in (*graph.inputs, *graph.initializers.values()):
        new = ir.Value(name=f"{prefix}{value.name}", type=value.type, shape=value.shape, const_value=value.const_value)
        inner[value] = new
        if value in graph.inputs:
            inputs.append(new)
    nodes = [clone_node(node, inner, prefix) for node in graph]
    return ir.Graph(
        inputs,
        [inner[value] for value in graph.outputs],
        nodes=nodes,
        initializers=[inner[v] for v in graph.initializers.values()],
        opset_imports=dict(graph.opset_imports),
        name=f"{prefix}{graph.name}",
    )
