"""Evaluates what depends on nothing or on the timestep alone: numbers per call site instead of nodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.bindings import Binding, Bindings, uses
from samplegraph.export.clone import ValueMap, clone_node
from samplegraph.export.errors import ExportError

Array = npt.NDArray[Any]


def foldable(bindings: Bindings, kept: Collection[ir.Node]) -> set[ir.Node]:
    """Nodes that depend on nothing or the timestep alone, but for those in ``kept`` and what needs them."""
    folded: set[ir.Node] = set()
    for node, binding in bindings.nodes.items():
        if binding in (Binding.NOTHING, Binding.TIMESTEP) and node not in kept:
            producers = (value.producer() for value in uses(node))
            if all(p is None or p in folded for p in producers):
                folded.add(node)
    return folded


def frontier(graph: ir.Graph, folded: Collection[ir.Node]) -> list[ir.Value]:
    """Values of ``folded`` nodes that another node or the output needs, in execution order."""
    wanted = {value for node in graph if node not in folded for value in uses(node)} | set(graph.outputs)
    return [value for node in graph if node in folded for value in node.outputs if value in wanted]


def evaluate(
    graph: ir.Graph, timestep: ir.Value, wanted: Sequence[ir.Value], timesteps: Sequence[Array]
) -> list[dict[ir.Value, Array]]:
    """Values of ``wanted`` for each entry of ``timesteps``; equal timesteps are evaluated once.

    Args:
        timesteps: one array per call site, as the network takes it.
    """
    if not wanted:
        return [{} for _ in timesteps]
    run = _runner(_slice(graph, timestep, wanted))
    seen: dict[bytes, dict[ir.Value, Array]] = {}
    results = []
    for t in timesteps:
        key = t.tobytes()
        if key not in seen:
            seen[key] = dict(zip(wanted, run(t), strict=True))
        results.append(seen[key])
    return results


def _slice(graph: ir.Graph, timestep: ir.Value, wanted: Sequence[ir.Value]) -> bytes:
    """A serialised model of just the nodes and constants that ``wanted`` needs."""
    needed: set[ir.Node] = set()
    values: ValueMap = {timestep: ir.Value(name=timestep.name, type=timestep.type, shape=timestep.shape)}
    constants: list[ir.Value] = []
    stack = list(wanted)
    while stack:
        value = stack.pop()
        node = value.producer()
        if node is not None:
            if node not in needed:
                needed.add(node)
                stack.extend(uses(node))
        elif value not in values:
            values[value] = ir.Value(name=value.name, type=value.type, shape=value.shape, const_value=value.const_value)
            constants.append(values[value])
    nodes = [clone_node(node, values, "") for node in graph if node in needed]
    part = ir.Graph(
        [values[timestep]],
        [values[value] for value in wanted],
        nodes=nodes,
        initializers=constants,
        opset_imports=dict(graph.opset_imports),
        name="timestep",
    )
    data: bytes = ir.serde.serialize_model(ir.Model(part, ir_version=10)).SerializeToString()
    return data


def _runner(model: bytes) -> Any:
    """A function of the timestep array: ONNX Runtime where it is installed, else ONNX's reference evaluator."""
    try:
        import onnxruntime as ort
    except ImportError:
        import onnx
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(onnx.load_from_string(model))
        name = evaluator.input_names[0]
        return lambda t: evaluator.run(None, {name: t})
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"the model's timestep path cannot be evaluated: {str(error).splitlines()[0]}") from error
    name = session.get_inputs()[0].name
    return lambda t: session.run(None, {name: t})


def same_everywhere(results: Sequence[dict[ir.Value, Array]], value: ir.Value) -> bool:
    """Whether ``value`` is the same array at every call site."""
    first = results[0][value]
    return all(r[value] is first or np.array_equal(r[value], first) for r in results[1:])
