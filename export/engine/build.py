"""One graph through a builder: parsed from its file, configured, serialised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from samplegraph.export.atomic import replacing
from samplegraph.export.engine.batch_profile import BatchProfile
from samplegraph.export.engine.builders import BuilderKind
from samplegraph.export.engine.listening import Listener, progress_monitor, said
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.export.errors import ExportError
from samplegraph.runtime.errors import CancelledError, one_line
from samplegraph.runtime.gpu.tensorrt_library import error_log
from samplegraph.runtime.manifest import Manifest

_TURING = "sm75"


def build(
    file: Path,
    manifest: Manifest,
    kind: BuilderKind,
    target: str,
    profile: BatchProfile | None,
    settings: BuildSettings,
    listener: Listener,
    visited: Sequence[str] = (),
) -> memoryview:
    """The engine's bytes, from a strongly typed network with TF32 off: the graph's precision and no other.

    Nothing is written but ``settings.timing_cache``. ``visited`` are values inside the graph that become outputs too.

    Raises:
        ExportError: the builder is missing; its parser or it itself refuses the graph, or memory runs out.
        CancelledError: the listener returned False.
    """
    trt = kind.load()
    log, errors = error_log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(_to_parse(file, manifest), str(file)):
        raise ExportError(f"{file}: {kind.name} cannot read it ({_refused(parser)}); export it again as a plain graph")
    _mark_outputs(network, visited)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.max_aux_streams = settings.max_aux_streams
    if settings.optimization_level is not None:
        config.builder_optimization_level = settings.optimization_level
    if settings.workspace_mb is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
    for wanted, flag in (
        (settings.version_compatible, trt.BuilderFlag.VERSION_COMPATIBLE),
        (settings.refittable, trt.BuilderFlag.REFIT),
    ):
        if wanted:
            config.set_flag(flag)
    if kind.targets:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0)
    if profile is not None:
        _add_profile(builder, config, manifest, profile)
    keep = _timing_cache(config, settings.timing_cache)
    monitor = progress_monitor(trt, listener)
    config.progress_monitor = monitor
    made = builder.build_serialized_network(network, config)
    if not monitor.go_on:
        raise CancelledError(f"{file}: the build for {target} was cancelled")
    if made is None:
        remedy = _remedy(settings, target)
        raise ExportError(f"{file}: {kind.name} cannot build it for {target} ({said(errors)}); {remedy}")
    keep()
    return memoryview(made)


def _to_parse(file: Path, manifest: Manifest) -> bytes:
    """The graph as builders like it, where onnx-ir is there to make it so."""
    if find_spec("onnx_ir") is None:
        return file.read_bytes()
    from samplegraph.export.engine.engine_form import engine_form

    return engine_form(file, manifest.inputs)


def _strongly_typed(trt: Any) -> int:
    """Creation flags; versions that know strongly typed networks only may lack the flag."""
    flag = trt.NetworkDefinitionCreationFlag.__members__.get("STRONGLY_TYPED")
    return 0 if flag is None else 1 << int(flag)


def _refused(parser: Any) -> str:
    """The first thing that the parser refuses."""
    if not parser.num_errors:
        return "it is no ONNX file"
    error = parser.get_error(0)
    node = f"{error.node_operator()} {error.node_name()}".strip()
    return one_line(f"{node}: {error.desc()}" if node else error.desc())


def _mark_outputs(network: Any, names: Sequence[str]) -> None:
    """Values inside the network as further outputs, in the order of ``names``."""
    if not names:
        return
    layers = (network.get_layer(i) for i in range(network.num_layers))
    inside = {tensor.name: tensor for layer in layers for tensor in map(layer.get_output, range(layer.num_outputs))}
    for name in names:
        network.mark_output(inside[name])


def _add_profile(builder: Any, config: Any, manifest: Manifest, profile: BatchProfile) -> None:
    made = builder.create_optimization_profile()
    for tensor in manifest.inputs:
        if any(isinstance(axis, str) for axis in tensor.shape):
            made.set_shape(tensor.name, *profile.shapes(tensor))
    if config.add_optimization_profile(made) < 0:
        raise ExportError(f"batch={profile} is refused by the builder; give a smaller range")


def _timing_cache(config: Any, path: Path | None) -> Callable[[], None]:
    """Give the builder the cache in ``path``, if any; the function returned writes it back.

    Raises:
        ExportError: it cannot be read, or is not one of this builder and GPU.
    """
    if path is None:
        return lambda: None
    try:
        known = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise ExportError(f"timing_cache={path}: cannot be read ({error.strerror}); give another file") from error
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, False):
        raise ExportError(f"timing_cache={path}: is not one of this builder and GPU; remove it, or give another file")

    def keep() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(config.get_timing_cache().serialize())

    return keep


def _remedy(settings: BuildSettings, target: str) -> str:
    if target == _TURING:
        return "Turing multiplies matrices in half precision alone: export with --precision fp16"
    if settings.workspace_mb is not None:
        return f"give more than --workspace {settings.workspace_mb}, or leave it out"
    return "export it in shorter graphs with --layout chunked:K, or on a machine with more memory"
