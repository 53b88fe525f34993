"""Checks an engine file against its sidecar, before an engine library sees it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import EngineInfo, Manifest
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES, read_manifest, sidecar

REBUILD = "build it again with `samplegraph build`"


def file_sha256(path: Path) -> str:
    """Digest of a file's bytes.

    Raises:
        InputError: it is missing or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a readable file") from error


def check_engine(
    path: str | os.PathLike[str],
    builder: str | None = None,
    version: str | None = None,
    compute_capability: tuple[int, int] | None = None,
    graph: str | os.PathLike[str] | None = None,
) -> Manifest:
    """The manifest of an engine file that is whole and fits.

    Args:
        path: the engine; its sidecar lies beside it.
        builder: the library that is to load it, ``tensorrt-rtx`` or ``tensorrt``; None leaves that out.
        version: of that library.
        compute_capability: (major, minor) of the GPU that is to run it.
        graph: the ``.onnx`` file that it is said to come from.

    Raises:
        InputError: the engine or its sidecar is missing, truncated or altered; the sidecar describes no engine; another
            builder, version, GPU or graph.
    """
    file = Path(path)
    if file.suffix not in ENGINE_SUFFIXES:
        raise InputError(f"{file}: is no engine; give a file that `samplegraph build` wrote")
    manifest = read_manifest(file)
    made = manifest.engine
    if made is None:
        raise InputError(f"{sidecar(file)}: describes a graph and no engine; {REBUILD}")
    size = file.stat().st_size
    if size != made.bytes:
        raise InputError(f"{file}: has {size} bytes and {made.bytes} were written; copy it again, or {REBUILD}")
    if file_sha256(file) != made.sha256:
        raise InputError(f"{file}: its bytes are not those that its sidecar names (sha256); {REBUILD}")
    check_library(file, made, builder, version)
    if compute_capability is not None:
        check_gpu(file, made, compute_capability)
    if manifest.weights.sha256 != made.weights_sha256:
        raise InputError(f"{file}: was built from other weights than its sidecar describes; {REBUILD}")
    if graph is not None and file_sha256(Path(graph)) != made.graph_sha256:
        raise InputError(f"{file}: was not built from {graph} as it is now; {REBUILD}")
    return manifest


def graph_name(engine: Path) -> str:
    """``x.onnx``, the name of the graph that ``x.sm89.engine`` was built from."""
    return engine.with_suffix("").with_suffix(".onnx").name


def check_gpu(file: Path, made: EngineInfo, compute_capability: tuple[int, int]) -> None:
    """Whether a GPU of that (major, minor) runs the engine.

    Raises:
        InputError: it was built for another.
    """
    here = f"sm{compute_capability[0]}{compute_capability[1]}"
    if here != made.target:
        raise InputError(f"{file}: was built for {made.target} and this GPU is {here}; build it with --target {here}")


def check_library(file: Path, made: EngineInfo, builder: str | None, version: str | None) -> None:
    """Whether that version of a library loads the engine; None leaves a part out.

    Raises:
        InputError: it was built by another.
    """
    if builder is not None and builder != made.builder:
        raise InputError(f"{file}: is an engine of {made.builder} and {builder} cannot load it; use {made.builder}")
    if version is not None and not _loads(made, version):
        raise InputError(
            f"{file}: was built by {made.builder} {made.builder_version} and {version} is installed; "
            "install that version, or build it again"
        )


def _loads(made: EngineInfo, version: str) -> bool:
    if not made.version_compatible:
        return version == made.builder_version
    built, here = (tuple(int(n) for n in v.split(".") if n.isdecimal()) for v in (made.builder_version, version))
    return built[:1] == here[:1] and built <= here
