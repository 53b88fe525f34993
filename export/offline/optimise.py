"""A second graph beside a compiled one: optimised offline by ONNX Runtime, so that loading it needs no optimising."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import onnx

from samplegraph.export.atomic import replacing_together, scratch_folder
from samplegraph.export.errors import ExportError
from samplegraph.export.offline.graph import OPTIMIZED_WEIGHTS, BesideGraph, packed_bytes, settle
from samplegraph.runtime.manifest import METADATA_KEY, Manifest, OptimizedFor
from samplegraph.runtime.manifest_file import read_manifest
from samplegraph.runtime.optimized import PREPACKING_OFF, channel_block
from samplegraph.schedulers.errors import one_of

#: By what the graph is for, ONNX Runtime's level: ``cpu`` has its blocked convolutions, which are made for one kind of
#: CPU; ``any-cpu`` has its fused operators only.
TARGETS = {"cpu": "ORT_ENABLE_LAYOUT", "any-cpu": "ORT_ENABLE_EXTENDED"}
#: Precisions that cannot be optimised offline, and why.
_UNFIT = {
    "bf16": "bfloat16, which ONNX Runtime's CPU provider lacks; export with precision=fp16 or fp32",
    "int8": "int8, and optimised it would store its weights as float32; export with precision=fp32",
}
#: Weights are packed at load where all their uses together take no more than this: a second's work.
PREPACK_LIMIT = 2 << 30


def optimize(
    source: Path,
    target: str = "cpu",
    *,
    prepack: bool | None = None,
    check: Callable[[Path, Manifest], object] | None = None,
) -> Path:
    """Optimise the graph at ``source`` and write ``<stem>-<target>.onnx`` and its sidecar beside it.

    Weights that the optimiser left as they were stay where they are; those it made, if large, go to one more file
    named by its digest. The same source gives the same bytes on the same kind of CPU.

    Args:
        target: ``cpu``, which is the fastest on this kind of CPU, or ``any-cpu``.
        prepack: pack weights at load; None decides by what that takes.
        check: called with the graph and its manifest before they are kept; what it raises is passed on.

    Raises:
        ExportError: the graph is of another layout or precision or optimised already, ONNX Runtime refuses it, or the
            files cannot be written.
    """
    one_of("optimize_for", target, tuple(TARGETS))
    manifest = read_manifest(source)
    if manifest.optimized_for is not None or manifest.layout != "unrolled":
        what = "optimised already" if manifest.optimized_for else f"of layout {manifest.layout!r}"
        raise ExportError(f"optimize_for={target!r}: {source} is {what}; give a plain graph of layout 'unrolled'")
    if manifest.precision in _UNFIT:
        raise ExportError(f"optimize_for={target!r}: {source} is {_UNFIT[manifest.precision]}")
    ort = _onnxruntime()
    with scratch_folder() as folder:
        model = _optimized(source, folder, TARGETS[target], manifest.weights.file is not None, ort)
        beside = settle(model, source, folder)
    blocked = any(node.domain == "com.microsoft.nchwc" for node in model.graph.node)
    made = replace(
        manifest,
        name=f"{manifest.name}-{target}",
        tables=replace(manifest.tables, visited=()),
        optimized_for=OptimizedFor(
            "cpu",
            ort.__version__,
            channel_block(ort) if blocked else 0,
            packed_bytes(model) <= PREPACK_LIMIT if prepack is None else prepack,
            beside.file,
            beside.bytes,
        ),
    )
    path = source.with_name(f"{source.stem}-{target}.onnx")
    _write(path, model, made, beside, check)
    return path


def _optimized(source: Path, folder: Path, level: str, external: bool, ort: Any) -> onnx.ModelProto:
    """What ONNX Runtime makes of ``source``; external weights, changed or not, lie in ``folder``."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.add_session_config_entry(PREPACKING_OFF, "1")
    if external:
        prefix = "session.optimized_model_external_initializers_"
        options.add_session_config_entry(f"{prefix}file_name", OPTIMIZED_WEIGHTS)
        options.add_session_config_entry(f"{prefix}min_size_in_bytes", "1024")
    try:
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # its exceptions share no base class
        reason = str(error).splitlines()[0]
        raise ExportError(f"{source}: ONNX Runtime cannot optimise it ({reason}); leave out --optimize-for") from error
    return onnx.load(folder / "optimized.onnx", load_external_data=False)


def _write(
    path: Path,
    model: onnx.ModelProto,
    manifest: Manifest,
    beside: BesideGraph,
    check: Callable[[Path, Manifest], object] | None,
) -> None:
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
    model.graph.name = manifest.name
    data = model.SerializeToString(deterministic=True)
    weights = path.with_name(beside.file) if beside.file else None
    new = weights is not None and not beside.is_at(weights)
    if weights is not None and new:
        with replacing_together([weights]) as (temporary,):
            beside.write(temporary)
    kept = False
    try:
        with replacing_together([path.with_name(f"{path.name}.json"), path]) as (sidecar, graph):
            sidecar.write_text(manifest.to_json(), encoding="utf-8")
            graph.write_bytes(data)
            if check is not None:
                check(graph, manifest)
        kept = True
    finally:
        if weights is not None and new and not kept:
            weights.unlink(missing_ok=True)


def _onnxruntime() -> Any:
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise ExportError("optimize_for needs ONNX Runtime; install samplegraph[cpu] or leave it out") from error
