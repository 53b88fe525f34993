"""An engine against its sidecar and the files that it was built from, and whether it can run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samplegraph.runtime.chunks import chunk_files
from samplegraph.runtime.engine_file import REBUILD, check_engine, check_gpu, check_library, file_sha256, graph_name
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.tensorrt_library import load_library
from samplegraph.runtime.manifest import EngineInfo
from samplegraph.runtime.manifest_file import read_manifest


@dataclass(frozen=True)
class Sources:
    """Names of files that engines were built from: ``same`` as they are now, and ``absent``, which are not there."""

    same: tuple[str, ...]
    absent: tuple[str, ...]

    def __str__(self) -> str:
        same = f"and built from {', '.join(self.same)} as {_they(self.same)} now" if self.same else ""
        absent = f"{', '.join(self.absent)} not there to compare" if self.absent else ""
        return "; ".join(part for part in (same, absent) if part)


def engine_files(file: Path) -> list[Path]:
    """The engine, or all of the set that it belongs to.

    Raises:
        InputError: one is missing.
    """
    chunk = read_manifest(file).chunk
    return [file] if chunk is None else chunk_files(file, chunk)


def check_sources(files: Sequence[Path]) -> Sources:
    """Compare engines with their sidecars, and with the graphs and weights that lie beside them.

    Raises:
        InputError: as ``check_engine``; or weights are others than those that an engine was built from.
    """
    found: dict[Path, bool] = {}
    digests: dict[Path, str] = {}
    for file in files:
        graph = file.with_name(graph_name(file))
        found[graph] = graph.is_file()
        made = check_engine(file, graph=graph if found[graph] else None).engine
        assert made is not None
        for name, digest in made.weight_files.items():
            weights = file.parent / name
            found[weights] = weights.is_file()
            if found[weights] and digests.setdefault(weights, file_sha256(weights)) != digest:
                raise InputError(f"{file}: was not built from {weights} as it is now; {REBUILD}")
    return Sources(*(tuple(path.name for path, there in found.items() if there is kind) for kind in (True, False)))


def obstacle(file: Path, made: EngineInfo) -> str:
    """Why the engine cannot run on this machine; empty where it can."""
    try:
        library = load_library(file, made.builder)
        check_library(file, made, made.builder, str(library.__version__))
        check_gpu(file, made, Cuda().compute_capability)
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    return ""


def _they(names: Sequence[str]) -> str:
    return "it is" if len(names) == 1 else "they are"
