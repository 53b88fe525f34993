"""One graph of a program, linked: its ONNX IR, what it takes and gives, and what became of the denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from samplegraph.export.graph.bindings import CLASSES
from samplegraph.export.link import Array, Group
from samplegraph.export.partial.cost import Cost, Work, costs
from samplegraph.export.partial.specialise import FATES
from samplegraph.export.sampling.segment import Segment
from samplegraph.runtime.manifest import Chunk, Manifest, Recurrence


@dataclass(repr=False)
class Part:
    """``weights`` are those that the graph reads: the network's and, as ``stage_weights`` says, those of modules in
    front and behind; ``bindings`` are the cost of one evaluation by binding class, ``work`` that of all; ``counts`` are
    denoiser nodes by what became of them, ``visited`` names the sample after each step; ``constants`` (rows, width) are
    what a graph reads from a file beside it.
    """

    model: ir.Model
    segment: Segment
    weights: list[ir.Value] = field(default_factory=list)
    bindings: dict[str, Cost] = field(default_factory=lambda: dict.fromkeys(CLASSES, Cost()))
    work: Work = field(default_factory=Work)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATES, 0))
    visited: tuple[str, ...] = ()
    chunk: Chunk | None = None
    recurrence: Recurrence | None = None
    constants: Array | None = None
    stage_weights: list[ir.Value] = field(default_factory=list)
    manifest: Manifest | None = None

    def __repr__(self) -> str:
        return f"<Part of {len(self.model.graph):,} nodes>"

    @property
    def described(self) -> Manifest:
        """The manifest that ``compile`` has given it."""
        assert self.manifest is not None
        return self.manifest

    @property
    def suffix(self) -> str:
        """What stands between the stem of its file and ``.onnx``."""
        return self.chunk.suffix if self.chunk else ""


def part(model: ir.Model, segment: Segment, groups: Sequence[Group], visited: tuple[str, ...]) -> Part:
    """A linked segment; without ``groups`` one that never asks the denoiser."""
    if not groups:
        return Part(model, segment, visited=visited)
    weights = [w for group in groups for w in group.parts.weights if w.uses()]
    widest = groups[0]
    bindings = costs(widest.parts.bindings, widest.rows)
    work = sum((group.work for group in groups), Work())
    return Part(model, segment, weights, bindings, work, widest.parts.counts, visited)


def take_visited(graph: ir.Graph, count: int) -> tuple[str, ...]:
    """Names of the sample after each step; only the first ``count`` outputs remain."""
    final, *earlier = [graph.outputs[0], *graph.outputs[count:]]
    del graph.outputs[count:]
    return tuple(str(value.name) for value in (*earlier, final))


def drop_unread(model: ir.Model, segment: Segment) -> Segment:
    """Take what no node reads from the inputs of ``model``, and from the segment."""
    for value in list(model.graph.inputs):
        if not value.uses() and value not in model.graph.outputs:
            model.graph.inputs.remove(value)
    return segment.narrowed([str(v.name) for v in model.graph.inputs], [t.name for t in segment.outputs])


def number(parts: list[Part]) -> list[Part]:
    """The parts of a set know their place in it."""
    for index, each in enumerate(parts):
        if each.segment.chunked:
            each.chunk = Chunk(index, len(parts), each.segment.first, each.segment.last, each.segment.slices)
    return parts
