"""What TensorRT would reject of a graph, said before a build: operator, where it comes from, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from samplegraph.export.engine.builder_rules import Fault, faults
from samplegraph.export.errors import ExportError
from samplegraph.export.passes.scopes import SCOPE

_SITE = re.compile(r"s(\d+)\.")
_SAMPLER = re.compile(r"h(\.|\d)")


@dataclass(frozen=True)
class Problem:
    """An operator that a builder rejects.

    Args:
        op: its type; ``name`` is that of the first such node, of which there are ``count``.
        origin: the part of the sampler that it belongs to, with the network's module where that is known.
        reason: what about it is rejected; ``remedy`` is what to do instead.
    """

    op: str
    name: str
    origin: str
    reason: str
    remedy: str
    count: int = 1

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.op} {self.name!r}{times} in {self.origin}: {self.reason}; {self.remedy}"


def problems(model: ir.Model) -> list[Problem]:
    """What TensorRT and TensorRT-RTX would refuse to parse or build, one entry for each operator and reason.

    Values whose type or shape is not noted in ``model`` are taken to be fine: infer shapes first (``problems_of``).
    """
    found: dict[tuple[str, Fault], list[ir.Node]] = {}
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        for node in graph.all_nodes():
            for fault in faults(node):
                found.setdefault((node.op_type, fault), []).append(node)
    return [
        Problem(op, _name(nodes[0]), origin(nodes[0]), fault.reason, fault.remedy, len(nodes))
        for (op, fault), nodes in found.items()
    ]


def problems_of(path: Path) -> list[Problem]:
    """As ``problems``, of a file; its external weights are not read.

    Raises:
        ExportError: the file is no ONNX graph.
    """
    if path.suffix != ".onnx":
        raise ExportError(f"{path} is not a graph; give the .onnx file beside it")
    try:
        model = ir.load(path)
    except OSError:
        raise
    except Exception as error:  # protobuf's own, which has no type annotations
        raise ExportError(f"{path} is no readable ONNX graph ({type(error).__name__}); export it anew") from error
    ir.passes.common.ShapeInferencePass()(model)
    return problems(model)


def check_builder_safe(model: ir.Model, name: str) -> None:
    """Refuse a graph that no builder takes.

    Raises:
        ExportError: there are problems; the first is named, and how many more there are.
    """
    _refuse(problems(model), name)


def check_file(path: Path) -> None:
    """As ``check_builder_safe``, of a file.

    Raises:
        ExportError: also where the file is no ONNX graph.
    """
    _refuse(problems_of(path), str(path))


def _refuse(found: Sequence[Problem], name: str) -> None:
    if found:
        more = f" (and {len(found) - 1} more: samplegraph inspect --builder-check)" if len(found) > 1 else ""
        raise ExportError(f"TensorRT cannot build {name}: {found[0]}{more}")


def origin(node: ir.Node) -> str:
    """Where a node of a linked graph comes from, by the name of its result; in a captured network, its module."""
    result = node.outputs[0].name or ""
    site, module = _SITE.match(result), node.metadata_props.get(SCOPE)
    if module:
        return f"the network's {module}"
    if site:
        return f"evaluation {site[1]} of the network"
    return "the sampler" if _SAMPLER.match(result) else "the network, before the first step"


def _name(node: ir.Node) -> str:
    return node.name or node.outputs[0].name or ""
