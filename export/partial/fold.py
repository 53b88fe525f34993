"""Evaluates what depends on nothing or on the timestep alone: numbers per call site instead of nodes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.bindings import Binding, Bindings, uses
from samplegraph.export.graph.clone import ValueMap, clone_node
from samplegraph.export.precision.quantise import is_dequantised

Array = npt.NDArray[Any]

BFLOAT16 = ir.DataType.BFLOAT16.numpy()

#: A folded value whose sites take more bytes than this is recomputed if it is cheap to (an expansion).
FOLD_BUDGET = 1 << 20


@dataclass(frozen=True)
class Folded:
    """What has been evaluated: ``nodes`` are gone, ``results`` holds the values that others read, per call site.

    The timestep input itself counts as such a value. Where the batch is symbolic, values with a row axis have one row.
    """

    nodes: set[ir.Node]
    results: list[dict[ir.Value, Array]]

    def same_everywhere(self, value: ir.Value) -> bool:
        """Whether ``value`` is the same array at every call site."""
        first = self.results[0][value]
        return all(r[value] is first or np.array_equal(r[value], first) for r in self.results[1:])


def fold(graph: ir.Graph, bindings: Bindings, timestep: ir.Value, timesteps: Sequence[Array]) -> Folded:
    """Evaluate what depends on nothing or on the timestep alone.

    Three kinds of value are left to be computed in the graph: weights that are stored quantised, those over
    ``FOLD_BUDGET`` that are made from smaller ones, and, under a symbolic batch, those that do not simply repeat with
    the rows (a shape, a sum over rows).

    Args:
        timesteps: per call site, the timestep input: one entry per row, or one entry where the batch is symbolic.
    """
    kept: set[ir.Node] = {node for node in graph if is_dequantised(node)}
    while True:
        folded = foldable(bindings, kept)
        wanted = frontier(graph, folded)
        results = evaluate(graph, timestep, wanted, timesteps)
        found = Folded(folded, [{**site, timestep: t} for site, t in zip(results, timesteps, strict=True)])
        refused = {value for value in wanted if _is_large(value, found)}
        if not all(isinstance(n, int) for n in timestep.shape or ()):
            refused |= _tied_to_rows(graph, timestep, wanted, found.results[0])
        producers = {node for value in refused if (node := value.producer()) is not None}
        if not producers:
            return found
        kept |= producers


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
            arrays = zip(wanted, run(t), strict=True)
            seen[key] = {v: array.astype(BFLOAT16) if v.dtype == ir.DataType.BFLOAT16 else array for v, array in arrays}
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
    outputs = [_widened(values[value], nodes) for value in wanted]
    part = ir.Graph(
        [values[timestep]],
        outputs,
        nodes=nodes,
        initializers=constants,
        opset_imports=dict(graph.opset_imports),
        name="timestep",
    )
    data: bytes = ir.serde.serialize_model(ir.Model(part, ir_version=10)).SerializeToString()
    return data


def _widened(value: ir.Value, nodes: list[ir.Node]) -> ir.Value:
    """``value`` in a type that numpy has: bfloat16 as float32, which holds it exactly."""
    if value.dtype != ir.DataType.BFLOAT16:
        return value
    nodes.append(ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(ir.DataType.FLOAT))]))
    nodes[-1].outputs[0].name, nodes[-1].outputs[0].type = f"{value.name}.wide", ir.TensorType(ir.DataType.FLOAT)
    return nodes[-1].outputs[0]


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


def _is_large(value: ir.Value, found: Folded) -> bool:
    """Over budget, and made from less: an Expand, a Tile, a broadcast."""
    node = value.producer()
    distinct = 1 if found.same_everywhere(value) else len({id(site[value]) for site in found.results})
    size = found.results[0][value].nbytes
    return node is not None and size * distinct > FOLD_BUDGET and 0 < sum(_bytes(v) for v in uses(node)) < size


def _tied_to_rows(
    graph: ir.Graph, timestep: ir.Value, wanted: Sequence[ir.Value], one: dict[ir.Value, Array]
) -> set[ir.Value]:
    """Values for which two rows are not twice the one row: found by evaluating two."""
    two = evaluate(graph, timestep, wanted, [np.repeat(one[timestep], 2)])[0]
    tied = set()
    for value in wanted:
        rows = value.shape is not None and len(value.shape) > 0 and not isinstance(value.shape[0], int)
        expected = np.repeat(one[value], 2, axis=0) if rows and one[value].shape[:1] == (1,) else one[value]
        if expected.shape != two[value].shape or not np.allclose(expected, two[value], rtol=1e-5, atol=1e-6):
            tied.add(value)
    return tied


def _bytes(value: ir.Value) -> int:
    if value.const_value is not None:
        return value.const_value.nbytes
    shape = value.shape
    if shape is None or value.dtype is None or not all(isinstance(n, int) for n in shape):
        return 0
    return int(math.prod(int(n) for n in shape if isinstance(n, int)) * value.dtype.itemsize)
