"""Links the sampler and the denoiser: every call is replaced by the nodes of its site, weights shared by identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.graph.builder import CALL, DOMAIN
from samplegraph.export.graph.clone import clone_node
from samplegraph.export.partial.cost import Work, work
from samplegraph.export.partial.numbers import ConstantTable
from samplegraph.export.partial.specialise import Shared, Specialised, specialise
from samplegraph.export.partial.twins import branch_of, place

Array = npt.NDArray[Any]


def calls(model: ir.Model) -> list[ir.Node]:
    """The denoiser calls of a captured sampler, in order."""
    return [node for node in model.graph if node.domain == DOMAIN and node.op_type == CALL]


@dataclass(frozen=True)
class Target:
    """What a call becomes: this denoiser, told this timestep (one entry per row), on this many rows in the examples."""

    denoiser: ir.Model
    timestep: Array
    rows: int


@dataclass(frozen=True)
class Group:
    """Calls of one denoiser under the same conditions, each on ``rows`` rows in the examples, and their parts."""

    rows: int
    parts: Specialised

    @property
    def work(self) -> Work:
        """What these calls cost."""
        halved = self.parts.twins.nodes if "on one branch" in self.parts.counts else ()
        return work(self.parts.bindings, self.rows, len(self.parts.sites), halved)


def link(
    sampler: ir.Model,
    target_at: Callable[[int], Target],
    site_done: Callable[[int], None] | None = None,
    table: ConstantTable | None = None,
) -> list[Group]:
    """Replace the denoiser calls in ``sampler`` (changed in place) by specialised copies of their targets.

    Those of both branches of guidance and those of one are groups of their own, which share weights and constants.

    Args:
        target_at: the target of a call at a grid point.
        site_done: told after each site.
        table: what the sites' constants are read from where they are no part of the graph.

    Returns:
        The groups, that with most rows first.
    """
    graph = sampler.graph
    groups: dict[object, list[tuple[int, ir.Node, Target]]] = {}
    for k, call in enumerate(calls(sampler)):
        target = target_at(call.attributes["point"].as_int())
        groups.setdefault((id(target.denoiser), *call.inputs[1:]), []).append((k, call, target))
    widest_first = sorted(groups.values(), key=lambda group: -group[0][2].rows)
    shared, done = Shared(), 0
    parts = [_specialise(group, shared, table) for group in widest_first]
    for part, group in zip(parts, widest_first, strict=True):
        graph.insert_before(group[0][1], part.front)
        for site, (k, call, target) in enumerate(group):
            _place(graph, call, target, part, site, f"s{k}.")
            done += 1
            if site_done:
                site_done(done - 1)
    for value in (*(w for part in parts for w in part.weights), *shared.extras, *shared.constants.values()):
        if value.uses():
            graph.register_initializer(value)
    graph.opset_imports.pop(DOMAIN, None)
    return [Group(group[0][2].rows, part) for group, part in zip(widest_first, parts, strict=True)]


def _specialise(
    group: Sequence[tuple[int, ir.Node, Target]], shared: Shared, table: ConstantTable | None
) -> Specialised:
    _, call, target = group[0]
    sample, *conditions = (value for value in call.inputs if value is not None)
    return specialise(target.denoiser, sample, conditions, [target.timestep for _, _, target in group], shared, table)


def _place(graph: ir.Graph, call: ir.Node, target: Target, parts: Specialised, site: int, prefix: str) -> None:
    """Put the nodes of one site in place of ``call``."""
    sample, output = target.denoiser.graph.inputs[0], target.denoiser.graph.outputs[0]
    values = parts.sites[site]
    assert call.inputs[0] is not None
    values[sample] = call.inputs[0]
    branch = branch_of(call.inputs[0]) if parts.twins.nodes else None
    if branch is None:
        graph.insert_before(call, [clone_node(node, values, prefix) for node in parts.nodes])
    else:
        graph.insert_before(call, branch[1] + place(parts.nodes, parts.twins, site, values, branch[0], prefix))
        parts.counts["on one branch"] = len(parts.twins.nodes)
    ir.convenience.replace_all_uses_with(call.outputs[0], values[output], replace_graph_outputs=True)
    graph.remove(call, safe=True)
