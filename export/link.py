"""Links the sampler and the denoiser: every call is replaced by the nodes of its site, weights shared by identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.builder import CALL, DOMAIN
from samplegraph.export.clone import clone_node
from samplegraph.export.errors import ExportError
from samplegraph.export.specialise import Specialised, specialise
from samplegraph.export.twins import branch_of, place

Array = npt.NDArray[Any]


def calls(model: ir.Model) -> list[ir.Node]:
    """The denoiser calls of a captured sampler, in order."""
    return [node for node in model.graph if node.domain == DOMAIN and node.op_type == CALL]


def link(
    sampler: ir.Model,
    denoiser: ir.Model,
    timestep_at: Callable[[int], Array],
    site_done: Callable[[int], None] | None = None,
) -> Specialised:
    """Replace the denoiser calls in ``sampler`` (changed in place) by specialised copies of ``denoiser``.

    Args:
        timestep_at: the network's timestep input at a grid point.
        site_done: told after each site.

    Raises:
        ExportError: calls pass different conditions.
    """
    graph = sampler.graph
    nodes = calls(sampler)
    conditions = _common_conditions(nodes)
    points = [node.attributes["point"].as_int() for node in nodes]
    first = nodes[0].inputs[0]
    assert first is not None
    parts = specialise(denoiser, first, conditions, [timestep_at(point) for point in points])
    sample, output = denoiser.graph.inputs[0], denoiser.graph.outputs[0]
    graph.insert_before(nodes[0], parts.front)
    for k, call in enumerate(nodes):
        values = parts.sites[k]
        assert call.inputs[0] is not None
        values[sample] = call.inputs[0]
        branch = branch_of(call.inputs[0]) if parts.twins.nodes else None
        if branch is None:
            graph.insert_before(call, [clone_node(node, values, f"s{k}.") for node in parts.nodes])
        else:
            graph.insert_before(call, branch[1] + place(parts.nodes, parts.twins, k, values, branch[0]))
            parts.counts["on one branch"] = len(parts.twins.nodes)
        ir.convenience.replace_all_uses_with(call.outputs[0], values[output], replace_graph_outputs=True)
        graph.remove(call, safe=True)
        if site_done:
            site_done(k)
    for value in (*parts.weights, *parts.constants):
        if value.uses():
            graph.register_initializer(value)
    graph.opset_imports.pop(DOMAIN, None)
    return parts


def _common_conditions(nodes: Sequence[ir.Node]) -> list[ir.Value]:
    first = list(nodes[0].inputs[1:])
    for node in nodes:
        if list(node.inputs[1:]) != first:
            raise ExportError("denoiser calls with different conditions cannot be linked into one graph")
    return [value for value in first if value is not None]
