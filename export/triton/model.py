"""A Triton Inference Server model repository from a compiled graph.

``REPOSITORY/<name>/config.pbtxt`` and ``<version>/model.onnx``, its weights and ``manifest.json`` beside it. See
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.triton.config import GRAPH, MANIFEST, model_config
from samplegraph.export.triton.graph import batch_first, obstacle, serialised
from samplegraph.export.triton.repository import LARGEST, check_target, write_version
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES, read_manifest

MAX_BATCH = 8


@dataclass(frozen=True)
class ModelVersion:
    """A version in a repository: its folder, the most rows of a merged call (0: calls are not merged), and why."""

    folder: Path
    max_batch: int
    note: str | None


def lay_out(
    graph: Path,
    repository: Path,
    *,
    name: str | None = None,
    version: int = 1,
    max_batch: int | None = None,
    force: bool = False,
) -> ModelVersion:
    """Write one version of a model. It appears whole, under its name, or not at all.

    Args:
        graph: of layout ``unrolled`` or ``loop``; copied with its weights, never linked.
        repository: made if it is not there.
        name: of the model; the manifest's by default.
        max_batch: the most rows Triton merges into one call; 0 for none, by default 8 where calls can be merged.
        force: replace that version and the model's config.pbtxt.

    Raises:
        ExportError: a graph that Triton cannot serve, a name or number that is not allowed, a version that is there, a
            config.pbtxt that says otherwise, or files that cannot be written.
        InputError: ``graph`` is not one of samplegraph's.
    """
    manifest = _servable(graph)
    name = manifest.name if name is None else name
    check_target(repository, name, version, force)
    if max_batch is not None and not 0 <= max_batch <= LARGEST:
        raise ExportError(f"max_batch={max_batch} is not allowed; give a whole number from 0 to {LARGEST}")
    why = obstacle(manifest)
    data, inputs = None, manifest.inputs
    model = _loaded(graph)
    _check_shapes(graph, model, manifest)
    if why is None and max_batch != 0:
        changed = batch_first(model, manifest)
        if changed is None:
            why = "its uses of guidance_scale allow no scale per row; export with --guidance-scale 2.0"
        elif changed != manifest.inputs:
            data, inputs = serialised(model), changed
    if why is not None and max_batch:
        raise ExportError(f"max_batch={max_batch}: calls of {graph} cannot be merged: {why}; or give --max-batch 0")
    rows = 0 if why is not None else MAX_BATCH if max_batch is None else max_batch
    config = model_config(name, inputs, manifest.outputs, rows)
    files = {GRAPH: graph if data is None else data, MANIFEST: manifest.to_json().encode()}
    files |= {file: graph.parent / file for file in _weights(manifest)}
    write_version(files, config, repository, name, version, force)
    return ModelVersion(repository / name / str(version), rows, why)


def _servable(graph: Path) -> Manifest:
    if graph.suffix in (".json", *ENGINE_SUFFIXES):
        raise ExportError(f"{graph}: is no ONNX graph; give the .onnx file that `samplegraph export` wrote")
    manifest = read_manifest(graph)
    if manifest.layout not in ("unrolled", "loop"):
        raise ExportError(
            f"{graph}: is of layout {manifest.layout!r}, which takes several calls per sample; "
            "export with --layout unrolled or loop"
        )
    if manifest.optimized_for is not None:
        raise ExportError(f"{graph}: is optimised for one kind of ONNX Runtime session; give the plain graph")
    for file in _weights(manifest):
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise ExportError(f"{graph}: its weights {file!r} lie outside its folder; put the file beside the graph")
        if not (graph.parent / file).is_file():
            raise ExportError(f"{graph}: its weights file {file!r} is missing; put it back beside the graph")
    return manifest


def _loaded(graph: Path) -> ir.Model:
    try:
        return ir.load(graph)
    except Exception as error:  # protobuf's and onnx-ir's exceptions share no base class
        raise ExportError(f"{graph}: is damaged ({type(error).__name__}); export it again") from error


def _check_shapes(graph: Path, model: ir.Model, manifest: Manifest) -> None:
    """The graph's axes are the manifest's; where that leaves the batch open, the graph does too."""
    shapes = {value.name: value.shape for value in (*model.graph.inputs, *model.graph.outputs)}
    for tensor in (*manifest.inputs, *manifest.outputs):
        shape = shapes.get(tensor.name)
        found = None if shape is None else [axis if isinstance(axis, int) else None for axis in shape]
        if found != [axis if isinstance(axis, int) else None for axis in tensor.shape]:
            raise ExportError(
                f"{graph}: the manifest says {tensor.name} is {list(tensor.shape)}, in the graph it is {shape}; "
                "export the file again"
            )


def _weights(manifest: Manifest) -> list[str]:
    return list(dict.fromkeys(f for f in (manifest.weights.file, *manifest.weights.files) if f is not None))
