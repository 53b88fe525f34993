"""The forms in which graphs are served: as they are, or changed so that Triton can merge several callers' calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.triton.graph import batch_first, obstacle, serialised, whole_noise
from samplegraph.runtime.manifest import Manifest, Tensor

MAX_BATCH = 8
_SCALE = "its uses of guidance_scale allow no scale per row; export with --guidance-scale 2.0"


@dataclass(frozen=True)
class Form:
    """A graph as it is served: ``data`` where it is not the bytes of ``graph``. ``manifest`` is the graph's own."""

    graph: Path
    manifest: Manifest
    inputs: tuple[Tensor, ...]
    data: bytes | None = None


@dataclass(frozen=True)
class Forms:
    """The graphs of a sampler in one form; ``rows`` of a merged call (0: calls are not merged), and why not."""

    parts: tuple[Form, ...]
    rows: int
    note: str | None


def forms_of(graphs: Sequence[Path], manifests: Sequence[Manifest], max_batch: int | None) -> Forms:
    """The graphs of a sampler, all merging calls or none.

    Args:
        max_batch: the most rows Triton merges into one call; 0 for none, by default 8 where calls can be merged.

    Raises:
        ExportError: a damaged graph, or calls are to be merged and cannot.
    """
    plain = [_plain(graph, manifest) for graph, manifest in zip(graphs, manifests, strict=True)]
    why = next((reason for manifest in manifests if (reason := obstacle(manifest)) is not None), None)
    if why is None and max_batch != 0:
        merged = [_merged(graph, manifest) for graph, manifest in zip(graphs, manifests, strict=True)]
        found = tuple(form for form in merged if form is not None)
        if len(found) == len(plain):
            return Forms(found, MAX_BATCH if max_batch is None else max_batch, None)
        why = _SCALE
    if why is not None and max_batch:
        raise ExportError(f"max_batch={max_batch}: calls of {graphs[0]} cannot be merged: {why}; or give --max-batch 0")
    return Forms(tuple(plain), 0, why)


def _plain(graph: Path, manifest: Manifest) -> Form:
    model = _loaded(graph, manifest)
    if manifest.chunk is None:
        return Form(graph, manifest, manifest.inputs)
    told = whole_noise(model, manifest)
    return Form(graph, manifest, told.inputs, None if told is manifest else serialised(model))


def _merged(graph: Path, manifest: Manifest) -> Form | None:
    model = _loaded(graph, manifest)
    told = manifest if manifest.chunk is None else whole_noise(model, manifest)
    inputs = batch_first(model, told)
    if inputs is None:
        return None
    return Form(graph, manifest, inputs, None if inputs == manifest.inputs else serialised(model))


def _loaded(graph: Path, manifest: Manifest) -> ir.Model:
    """The graph, its axes those of the manifest; where that leaves the batch open, the graph does too."""
    try:
        model = ir.load(graph)
    except Exception as error:  # protobuf's and onnx-ir's exceptions share no base class
        raise ExportError(f"{graph}: is damaged ({type(error).__name__}); export it again") from error
    shapes = {value.name: value.shape for value in (*model.graph.inputs, *model.graph.outputs)}
    for tensor in (*manifest.inputs, *manifest.outputs):
        shape = shapes.get(tensor.name)
        found = None if shape is None else [axis if isinstance(axis, int) else None for axis in shape]
        if found != [axis if isinstance(axis, int) else None for axis in tensor.shape]:
            raise ExportError(
                f"{graph}: the manifest says {tensor.name} is {list(tensor.shape)}, in the graph it is {shape}; "
                "export the file again"
            )
    return model
