"""From a graph file to its engine files: what is to be built, and each engine written with its sidecar."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from samplegraph.export.atomic import replacing_together
from samplegraph.export.engine.batch_profile import BatchProfile, profile_for
from samplegraph.export.engine.build import build
from samplegraph.export.engine.builders import BuilderKind
from samplegraph.export.engine.listening import Listener
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.export.errors import ExportError
from samplegraph.runtime.chunks import chunk_files
from samplegraph.runtime.engine_file import file_sha256
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import EngineInfo, Manifest
from samplegraph.runtime.manifest_file import read_manifest, sidecar


@dataclass(frozen=True)
class EnginePlan:
    """One engine to build: ``output`` from ``graph`` for ``target``, with ``profile`` where its batch is symbolic.

    ``visited`` are names of samples inside the graph that the engine gives too, as further outputs.
    """

    graph: Path
    manifest: Manifest
    output: Path
    kind: BuilderKind
    target: str
    profile: BatchProfile | None
    settings: BuildSettings
    visited: tuple[str, ...] = ()


def plan_engines(
    graph: Path, kind: BuilderKind, targets: Sequence[str], settings: BuildSettings
) -> list[EnginePlan]:
    """The engines of ``graph``, and of its whole set where it is a chunk: ``<stem>.<target>.engine`` beside each.

    Args:
        targets: as ``kind.choose_targets`` returns them.

    Raises:
        InputError: a file is missing, or holds no manifest.
        ExportError: not an ``.onnx`` file, a graph that was optimised for ONNX Runtime, weights that are missing, a
            batch profile for a static graph, a setting that the builder lacks; or an operator that the builder is
            known to refuse, with where it comes from and what to do.
    """
    if graph.suffix != ".onnx":
        raise ExportError(f"{graph}: is no graph; give the .onnx file that `samplegraph export` wrote")
    kind.check_settings(settings)
    first = read_manifest(graph)
    files = [graph] if first.chunk is None else chunk_files(graph, first.chunk)
    found = []
    described = find_spec("onnx_ir") is not None and kind.is_described()
    for file in files:
        manifest = read_manifest(file)
        _check_buildable(file, manifest)
        if described:
            from samplegraph.export.engine.builder_safe import check_file

            check_file(file)
        profile = profile_for(file, manifest, settings.batch)
        for target in targets:
            output = file.with_name(f"{file.name.removesuffix('.onnx')}.{target}.engine")
            found.append(EnginePlan(file, manifest, output, kind, target, profile, settings))
    return found


def build_engine(plan: EnginePlan, listener: Listener = lambda phase, done, total: None) -> Manifest:
    """Build one engine; it and its sidecar are written together, or neither.

    Args:
        listener: called as ``listener(phase, done, total)`` by the builder, phases within phases; where it returns
            False the build is cancelled.

    Returns:
        The sidecar's manifest.

    Raises:
        ExportError: see ``build``; or the files cannot be written.
        InputError: the graph cannot be read.
        CancelledError: the listener returned False.
    """
    made, described = engine_of(plan, listener)
    with replacing_together([plan.output, sidecar(plan.output)]) as (engine, text):
        engine.write_bytes(made)
        text.write_text(described.to_json(), encoding="utf-8")
    return described


def engine_of(plan: EnginePlan, listener: Listener) -> tuple[memoryview, Manifest]:
    """The engine's bytes and its sidecar's manifest; nothing is written but the timing cache.

    Raises:
        ExportError, InputError, CancelledError: as ``build_engine``.
    """
    graph, manifest, settings, profile = file_sha256(plan.graph), plan.manifest, plan.settings, plan.profile
    made = build(plan.graph, manifest, plan.kind, plan.target, profile, settings, listener, plan.visited)
    info = EngineInfo(
        sha256=hashlib.sha256(made).hexdigest(),
        bytes=made.nbytes,
        graph_sha256=graph,
        weights_sha256=manifest.weights.sha256,
        builder=plan.kind.name,
        builder_version=str(plan.kind.load().__version__),
        target=plan.target,
        batch=(profile.smallest, profile.best, profile.largest) if profile is not None else (),
        version_compatible=settings.version_compatible,
        refittable=settings.refittable,
        weight_files={name: file_sha256(plan.graph.parent / name) for name in weight_files(manifest)},
    )
    like = manifest.sample or manifest.outputs[0]
    visited = [replace(like, name=name) for name in plan.visited]
    return made, replace(manifest, outputs=(*manifest.outputs, *visited), engine=info)


def weight_files(manifest: Manifest) -> tuple[str, ...]:
    """The files beside a graph that hold its weights."""
    own = manifest.weights.file
    return manifest.weights.files or (() if own is None else (own,))


def _check_buildable(file: Path, manifest: Manifest) -> None:
    if manifest.optimized_for is not None:
        raise ExportError(f"{file}: was optimised for ONNX Runtime and no builder reads it; give the plain graph")
    for name in weight_files(manifest):
        if not (file.parent / name).is_file():
            raise InputError(f"{file}: its weights file {name!r} is missing; put it beside the graph")
