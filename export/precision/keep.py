"""Which nodes of a denoiser stay in float32 when the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.bindings import Bindings, class_of
from samplegraph.export.passes.scopes import SCOPE, without_root
from samplegraph.schedulers.errors import suggest

#: Operators that square or sum up: of numbers above 256 the squares overflow float16.
_REDUCTIONS = frozenset("Pow ReduceMean ReduceSum ReduceSumSquare ReduceL2 ReduceLogSumExp ReduceProd CumSum".split())
#: What stands between a norm's reduction and the values that it scales.
_SCALAR_TAIL = frozenset("Add Sub Mul Div Max Clip Sqrt Reciprocal Neg Cast Reshape Unsqueeze Squeeze".split())


def kept_nodes(graph: ir.Graph, bindings: Bindings, patterns: Sequence[str]) -> set[ir.Node]:
    """What depends on the timestep alone (it is evaluated here and now), reductions, and what ``patterns`` name.

    Raises:
        ExportError: a pattern names nothing.
    """
    timestep = {node for node in graph if class_of(bindings.nodes[node]) == "timestep"}
    return timestep | reductions(graph) | named_nodes(graph, patterns)


def reductions(graph: ir.Graph) -> set[ir.Node]:
    """Norms that are written out: sums of squares, and what follows up to where they meet the values to be scaled."""
    found: set[ir.Node] = set()
    for node in graph:
        given = [v for v in node.inputs if v is not None and v.const_value is None]
        follows = node.op_type in _SCALAR_TAIL and bool(given) and all(v.producer() in found for v in given)
        squares = node.op_type == "Mul" and node.inputs[0] is node.inputs[1]
        if not node.domain and (node.op_type in _REDUCTIONS or squares or follows):
            found.add(node)
    return found


def named_nodes(graph: ir.Graph, patterns: Sequence[str]) -> set[ir.Node]:
    """Nodes that one of ``patterns`` names: by op type, by node, by a module around it, or by a weight that it reads.

    Raises:
        ExportError: a pattern names nothing.
    """
    names = {node: set(names_of(node)) for node in graph}
    found: set[ir.Node] = set()
    for pattern in patterns:
        matched = {node for node, own in names.items() if any(fnmatchcase(name, pattern) for name in own)}
        if not matched:
            raise ExportError(
                f"keep_fp32={pattern!r} names nothing in the network; give an op type, a module, a weight or a node, "
                f"with * and ? for what varies{suggest(pattern, sorted(set().union(*names.values())))}"
            )
        found |= matched
    return found


def names_of(node: ir.Node) -> Iterator[str]:
    """Everything that ``node`` can be called by."""
    yield node.op_type
    if node.name:
        yield node.name
    yield from _enclosing(node.metadata_props.get(SCOPE, ""))
    for value in node.inputs:
        if value is not None and value.name and value.const_value is not None:
            yield without_root(value.name)


def _enclosing(scope: str) -> Iterable[str]:
    """``a.b.c`` -> ``a``, ``a.b``, ``a.b.c``."""
    parts = scope.split(".") if scope else []
    return (".".join(parts[: k + 1]) for k in range(len(parts)))
