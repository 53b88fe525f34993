"""How long a build will take, from the number of nodes, and what would build faster."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import onnx

from samplegraph.runtime.manifest import Manifest

#: Seconds of one idle core per thousand nodes, and per thousand squared: fitted to TensorRT-RTX's builds of `digits`,
#: a DiT and a conditional UNet of 200 to 24,000 nodes (docs/engines.md), within a factor of about two.
_LINEAR, _SQUARE = 1.5, 0.8
#: From how many seconds on another layout is named, and of how many evaluations.
_LONG, _SIZE = 60.0, 5


@dataclass(frozen=True)
class Estimate:
    """Nodes of a graph, seconds that its engine takes to build, and the better layout where these are many."""

    nodes: int
    seconds: float
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.nodes:,} nodes, about {_about(self.seconds)} to build{self.advice}"


def build_seconds(nodes: int) -> float:
    """Of a graph of so many nodes, those of subgraphs included."""
    thousands = nodes / 1000
    return _LINEAR * thousands + _SQUARE * thousands**2


def estimate(graph: Path, manifest: Manifest) -> Estimate:
    """For the engine of ``graph``."""
    nodes = _count(onnx.load(graph, load_external_data=False).graph)
    seconds = build_seconds(nodes)
    if seconds < _LONG:
        return Estimate(nodes, seconds)
    kind = manifest.layout.partition(":")[0]
    nfe = max(manifest.scheduler.nfe, 1)
    parts = manifest.chunk.count if manifest.chunk else 1
    each = nodes * parts // nfe
    if kind not in ("unrolled", "chunked") or nfe <= _SIZE:
        return Estimate(nodes, seconds)
    # What the manifest has coefficients for is affine; scales that differ are no coefficients.
    affine = manifest.tables.coefficients and not manifest.guidance.scales and manifest.task != "inpaint"
    engine = _about(build_seconds(each * _SIZE))
    if affine:
        return Estimate(nodes, seconds, f"; --layout repeated:{_SIZE} is one engine for all steps, in about {engine}")
    count = ceil(nfe / _SIZE)
    return Estimate(nodes, seconds, f"; --layout chunked:{_SIZE} is {count} engines, each in about {engine}")


def _count(graph: onnx.GraphProto) -> int:
    inner = (a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH)
    return len(graph.node) + sum(map(_count, inner))


def _about(seconds: float) -> str:
    """``40 s`` or ``3 min``."""
    return f"{max(round(seconds), 1)} s" if seconds < _LONG else f"{round(seconds / 60)} min"
