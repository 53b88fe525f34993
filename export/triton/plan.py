"""TensorRT engines in a Triton model repository: one that is there, or built from a graph in the form it is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from samplegraph.export.atomic import scratch_folder
from samplegraph.export.engine.batch_profile import BatchProfile
from samplegraph.export.engine.builders import BuilderKind
from samplegraph.export.engine.files import EnginePlan
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.export.errors import ExportError
from samplegraph.export.triton.config import ENGINE, FILES, MANIFEST
from samplegraph.export.triton.model import ModelVersion, Place, servable, weights_of
from samplegraph.export.triton.served import Form, Forms, forms_of
from samplegraph.runtime.chunks import chunk_files
from samplegraph.runtime.engine_file import check_engine
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.manifest_file import read_manifest, sidecar

#: The builder whose engines Triton's TensorRT backend loads.
_BUILDER = "tensorrt"


def lay_out_engine(engine: Path, place: Place, max_batch: int | None = None) -> ModelVersion:
    """Write an engine, or its set of chunks, as one version of a model; see ``lay_out``.

    Calls are merged where every tensor has the batch on axis 0 and a call of one row is allowed.

    Raises:
        ExportError: an engine of TensorRT-RTX, one that cannot merge the calls it is to, chunks that draw noise; see
            ``lay_out``.
        InputError: see ``check_engine``.
    """
    first = check_engine(engine)
    files = [engine] if first.chunk is None else chunk_files(engine, first.chunk)
    manifests = [check_engine(file, _BUILDER) for file in files]
    place = place.checked(first, max_batch)
    if len(files) > 1 and first.noise.slices:
        raise ExportError(f"{engine}: its chunks draw noise, and Triton cannot cut it; give the graph, chunk 0's .onnx")
    forms = tuple(Form(file, manifest, manifest.inputs) for file, manifest in zip(files, manifests, strict=True))
    rows, why = _rows(manifests)
    if why is not None and max_batch:
        raise ExportError(f"max_batch={max_batch}: calls of {engine} cannot be merged: {why}; or give --max-batch 0")
    if max_batch is not None and max_batch > rows:
        raise ExportError(f"max_batch={max_batch}: {engine} takes {rows} rows at most; build it for more with --batch")
    rows = rows if max_batch is None else max_batch
    content: list[dict[str, Path | bytes]] = [
        {FILES[ENGINE]: form.graph, MANIFEST: form.manifest.to_json().encode()} for form in forms
    ]
    return place.write(Forms(forms, rows, why), ENGINE, content)


def _rows(manifests: list[Manifest]) -> tuple[int, str | None]:
    """The most rows of a merged call; 0 and why, where calls cannot be merged."""
    made = [manifest.engine.batch for manifest in manifests if manifest.engine is not None]
    if not all(made):
        return 0, "its batch is static; export with --batch dynamic"
    if any(batch[0] > 1 for batch in made):
        return 0, "it takes no single row; build it with --batch 1:4:8"
    for tensor in (tensor for manifest in manifests for tensor in manifest.inputs):
        if not tensor.shape or not isinstance(tensor.shape[0], str):
            return 0, f"{tensor.name} has no batch on axis 0; build from the graph, `samplegraph build GRAPH --triton`"
    return min(batch[2] for batch in made), None


def lay_out_built(
    graph: Path,
    place: Place,
    kind: BuilderKind,
    targets: Sequence[str],
    settings: BuildSettings,
    build: Callable[[EnginePlan], object],
    max_batch: int | None = None,
) -> ModelVersion:
    """Build engines from a graph, in the form that merges calls where it can, and write them as one version.

    Args:
        build: builds a plan, as ``build_engine`` and ``build_apart`` do.

    Raises:
        ExportError: another builder than Triton's, a batch that does not begin with 1 or contradicts ``max_batch``; see
            ``lay_out`` and ``build_engine``.
        InputError, CancelledError: as ``lay_out`` and ``build_engine``.
    """
    if kind.name != _BUILDER:
        raise ExportError(
            f"builder={kind.name}: Triton's TensorRT backend loads engines of {_BUILDER}; give --builder {_BUILDER}, "
            "or no --target to serve the graph itself"
        )
    (target,) = kind.choose_targets(targets)
    kind.check_settings(settings)
    graphs, manifests = servable(graph)
    place = place.checked(manifests[0], max_batch)
    given = settings.batch
    if given is not None and max_batch not in (None, 0, given.largest):
        raise ExportError(f"max_batch={max_batch} contradicts batch={given}; give one of them")
    if given is not None and given.smallest > 1 and max_batch != 0:
        raise ExportError(f"batch={given}: Triton may call with one row; begin with 1, or give --max-batch 0")
    forms = forms_of(graphs, manifests, given.largest if given is not None and max_batch is None else max_batch)
    profile = given or (BatchProfile(1, 1, forms.rows) if forms.rows else None)
    kind.load()
    with scratch_folder() as folder:
        built, content = [], []
        for index, form in enumerate(forms.parts):
            plan = _plan(form, folder / str(index), kind, target, replace(settings, batch=profile))
            build(plan)
            made = read_manifest(plan.output)
            built.append(replace(form, manifest=made))
            content.append({FILES[ENGINE]: plan.output, MANIFEST: sidecar(plan.output)})
        return place.write(replace(forms, parts=tuple(built)), ENGINE, content)


def _plan(form: Form, folder: Path, kind: BuilderKind, target: str, settings: BuildSettings) -> EnginePlan:
    """The graph as it is served, in a folder of its own over links to its weights, and what is to be built of it."""
    folder.mkdir()
    graph = folder / form.graph.name
    graph.write_bytes(form.graph.read_bytes() if form.data is None else form.data)
    for file in weights_of(form.manifest):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).symlink_to((form.graph.parent / file).resolve())
    manifest = replace(form.manifest, inputs=form.inputs)
    profile = settings.batch or BatchProfile(1, 1, 8) if manifest.batch is None else None
    return EnginePlan(graph, manifest, folder / "model.engine", kind, target, profile, settings)
