"""A Triton Inference Server model repository from a compiled sampler.

``REPOSITORY/<name>/config.pbtxt`` and ``<version>/model.onnx`` (its weights beside it) or ``model.plan``, and
``manifest.json``. A set of chunks is a model each, and an ensemble that hands the sample from one to the next. See
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from samplegraph.export.errors import ExportError
from samplegraph.export.triton.config import FILES, MANIFEST, ONNX, EnsembleStep, ensemble_config, model_config
from samplegraph.export.triton.graph import merged_tensors
from samplegraph.export.triton.repository import LARGEST, Content, check_target, write_version
from samplegraph.export.triton.served import Form, Forms, forms_of
from samplegraph.runtime.chunks import chunk_files
from samplegraph.runtime.manifest import CARRIED, Manifest
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES, read_manifest

LAYOUTS = ("unrolled", "loop", "chunked")


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
    """Write one version of a model for the ONNX Runtime backend. It appears whole, under its name, or not at all.

    Args:
        graph: of layout ``unrolled`` or ``loop``, or a chunk of a set; copied with its weights, never linked.
        repository: made if it is not there.
        name: of the model; the manifest's by default. Chunks are called ``<name>-chunk-00`` and so on.
        max_batch: the most rows Triton merges into one call; 0 for none, by default 8 where calls can be merged.
        force: replace that version and the model's config.pbtxt.

    Raises:
        ExportError: a graph that Triton cannot serve, a name or number that is not allowed, a version that is there, a
            config.pbtxt that says otherwise, or files that cannot be written.
        InputError: ``graph`` is not one of samplegraph's.
    """
    graphs, manifests = servable(graph)
    place = Place(repository, name, version, force).checked(manifests[0], max_batch)
    forms = forms_of(graphs, manifests, max_batch)
    return place.write(forms, ONNX, [_files(form) for form in forms.parts])


@dataclass(frozen=True)
class Place:
    """Where a version of a sampler goes: a model, or an ensemble and a model called ``<name>-chunk-00`` per chunk.

    ``name`` is that of the manifest where it is None; the rest is as in ``lay_out``.
    """

    repository: Path
    name: str | None = None
    version: int = 1
    force: bool = False

    def checked(self, manifest: Manifest, max_batch: int | None) -> Place:
        """This place, named, once it is found that this sampler can be written there.

        Raises:
            ExportError: a name or number that is not allowed, a version that is there.
        """
        place = replace(self, name=manifest.name if self.name is None else self.name)
        for name in (str(place.name), *(place._parts(manifest.chunk.count) if manifest.chunk is not None else ())):
            check_target(self.repository, name, self.version, self.force)
        if max_batch is not None and not 0 <= max_batch <= LARGEST:
            raise ExportError(f"max_batch={max_batch} is not allowed; give a whole number from 0 to {LARGEST}")
        return place

    def write(self, forms: Forms, backend: str, files: Sequence[Mapping[str, Path | bytes]]) -> ModelVersion:
        """Write the graphs, or the engines built from them, as ``files`` for each.

        Raises:
            ExportError: see ``write_version``.
        """
        whole, chunked = str(self.name), forms.parts[0].manifest.chunk is not None
        names = self._parts(len(forms.parts)) if chunked else [whole]
        models = [
            Content(name, model_config(name, form.inputs, form.manifest.outputs, forms.rows, backend), content)
            for name, form, content in zip(names, forms.parts, files, strict=True)
        ]
        if chunked:
            models.append(_ensemble(whole, names, self.version, forms))
        write_version(models, self.repository, self.version, self.force)
        return ModelVersion(self.repository / whole / str(self.version), forms.rows, forms.note)

    def _parts(self, count: int) -> list[str]:
        return [f"{self.name}-chunk-{index:02d}" for index in range(count)]


def servable(graph: Path) -> tuple[list[Path], list[Manifest]]:
    """The graph, or its whole set of chunks, with what they are.

    Raises:
        ExportError: Triton cannot serve them, or their weights are not beside them.
        InputError: one is missing, or not one of samplegraph's.
    """
    if graph.suffix in (".json", *ENGINE_SUFFIXES):
        raise ExportError(f"{graph}: is no ONNX graph; give the .onnx file that `samplegraph export` wrote")
    manifest = read_manifest(graph)
    if manifest.layout.partition(":")[0] not in LAYOUTS:
        raise ExportError(
            f"{graph}: is of layout {manifest.layout!r}, whose calls are driven from a table; "
            "export with --layout unrolled, loop or chunked:K"
        )
    if manifest.optimized_for is not None:
        raise ExportError(f"{graph}: is optimised for one kind of ONNX Runtime session; give the plain graph")
    graphs = [graph] if manifest.chunk is None else chunk_files(graph, manifest.chunk)
    manifests = [read_manifest(each) for each in graphs]
    for each, found in zip(graphs, manifests, strict=True):
        for file in weights_of(found):
            if Path(file).is_absolute() or ".." in Path(file).parts:
                raise ExportError(f"{each}: its weights {file!r} lie outside its folder; put the file beside the graph")
            if not (each.parent / file).is_file():
                raise ExportError(f"{each}: its weights file {file!r} is missing; put it back beside the graph")
    return graphs, manifests


def weights_of(manifest: Manifest) -> list[str]:
    """The files that hold a graph's weights, relative to it."""
    return list(dict.fromkeys(f for f in (manifest.weights.file, *manifest.weights.files) if f is not None))


def _files(form: Form) -> dict[str, Path | bytes]:
    files: dict[str, Path | bytes] = {FILES[ONNX]: form.graph if form.data is None else form.data}
    files[MANIFEST] = form.manifest.to_json().encode()
    return files | {file: form.graph.parent / file for file in weights_of(form.manifest)}


def _ensemble(name: str, models: Sequence[str], version: int, forms: Forms) -> Content:
    """The chunks as one model: what a chunk hands on goes by the name of the chunk and the tensor."""
    first = forms.parts[0].manifest
    sampler = merged_tensors(first, first.sampler_inputs) if forms.rows else first.sampler_inputs
    result = forms.parts[-1].manifest.outputs[0]
    steps = []
    for index, (model, form) in enumerate(zip(models, forms.parts, strict=True)):
        taken, given = {}, {result.name: result.name}
        for tensor in form.inputs:
            before = f"chunk_{index - 1:02d}.{tensor.name.removesuffix(CARRIED)}"
            taken[tensor.name] = before if tensor.role == "carried" else tensor.name
        if form is not forms.parts[-1]:
            wanted = [t.name.removesuffix(CARRIED) for t in forms.parts[index + 1].inputs if t.role == "carried"]
            given = {each: f"chunk_{index:02d}.{each}" for each in wanted}
        steps.append(EnsembleStep(model, version, taken, given))
    config = ensemble_config(name, sampler, [result], forms.rows, steps)
    return Content(name, config, {MANIFEST: first.to_json().encode()})
