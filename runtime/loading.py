"""From files to sessions: by which engine each graph is run, and what is said of that."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from samplegraph.runtime.engine_file import check_engine, check_gpu, check_library, graph_name
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.gpu.bound_session import BoundSession
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.kernel_cache import SUFFIX as KERNELS
from samplegraph.runtime.gpu.onnx_binding import OnnxOnGpu
from samplegraph.runtime.gpu.tensorrt_engine import TensorRTEngine
from samplegraph.runtime.gpu.tensorrt_library import load_library
from samplegraph.runtime.kept_files import KeptFiles
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.onnx_session import OnnxSession, onnxruntime
from samplegraph.runtime.provider_choice import AUTO, candidates, captures, gpu_of, on_cuda, with_options
from samplegraph.runtime.providers import Named, Provider, choose_providers, provider_name, short_name
from samplegraph.runtime.session import Session


@dataclass(frozen=True)
class Wanted:
    """How graphs are to be run; see ``Engine``."""

    providers: str | Sequence[Provider] | None
    threads: int | None
    tf32: bool
    cuda_graph: bool
    kernels: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """One session per file; the GPU on which they share memory and a stream, if they do."""

    sessions: list[Session]
    cuda: Cuda | None


def load(files: Sequence[Path], manifests: Sequence[Manifest], wanted: Wanted, notes: Notes) -> Loaded:
    """Load one graph, or a set of chunks.

    Raises:
        InputError: see ``Engine``.
    """
    if files[0].suffix in ENGINE_SUFFIXES:
        return _engines(files, wanted, notes)
    ort = onnxruntime()
    available = ort.get_available_providers()
    if wanted.providers not in (AUTO, [AUTO]):
        return _graphs(files, manifests, choose_providers(wanted.providers, available), wanted, notes)
    *better, last = candidates(available)
    for chosen in better:
        tried = Notes()
        try:
            loaded = _graphs(files, manifests, chosen, wanted, tried)
        except InputError as error:
            notes.add(f"not {short_name(provider_name(chosen[0]))}: {error}")
            continue
        for note in tried:
            notes.add(note)
        return loaded
    return _graphs(files, manifests, last, wanted, notes)


def _graphs(
    files: Sequence[Path], manifests: Sequence[Manifest], chosen: Sequence[Named], wanted: Wanted, notes: Notes
) -> Loaded:
    cuda = _memory(chosen, notes)
    sessions: list[Session] = []
    for file, manifest in zip(files, manifests, strict=True):
        session = _graph(file, manifest, chosen, wanted, cuda is not None, notes)
        if cuda is None:
            sessions.append(session)
        else:
            sessions.append(BoundSession(cuda, OnnxOnGpu(session, cuda, manifest, notes), manifest, notes))
    return Loaded(sessions, cuda)


def _memory(chosen: Sequence[Named], notes: Notes) -> Cuda | None:
    """The GPU's memory, for providers that work on it; without cuda-python ONNX Runtime copies by itself."""
    if not on_cuda(chosen):
        return None
    ordinal, ort = gpu_of(chosen), onnxruntime()
    if hasattr(ort, "preload_dlls"):
        with redirect_stdout(StringIO()):  # it prints what is not there
            ort.preload_dlls()
    try:
        return Cuda(ordinal)
    except InputError as error:
        notes.add(f"inputs and outputs are copied at every call: {error}")
        return None


def _graph(
    file: Path, manifest: Manifest, chosen: Sequence[Named], wanted: Wanted, bound: bool, notes: Notes
) -> OnnxSession:
    one_shape = short_name(provider_name(chosen[0])) != "tensorrt" or manifest.batch is not None
    graphs = bound and wanted.cuda_graph and one_shape
    told = with_options(chosen, wanted.tf32, graphs, notes, wanted.kernels)
    if not captures(told):
        return OnnxSession(file, manifest, told, wanted.threads)
    try:
        return OnnxSession(file, manifest, told, wanted.threads)
    except InputError as error:
        told = with_options(chosen, wanted.tf32, False, notes, wanted.kernels)
        plain = OnnxSession(file, manifest, told, wanted.threads)
        notes.add(f"no CUDA graph: {error}")
        return plain


def _engines(files: Sequence[Path], wanted: Wanted, notes: Notes) -> Loaded:
    if wanted.providers not in (None, AUTO, [AUTO]) or wanted.threads is not None:
        name = "providers" if wanted.threads is None else "threads"
        given = getattr(wanted, name)
        raise InputError(f"{name}={given!r} is for .onnx files; leave it out, {files[0]} runs on the GPU")
    manifests = [check_engine(file, graph=_graph_beside(file)) for file in files]
    cuda: Cuda | None = None
    sessions: list[Session] = []
    kept = None if wanted.kernels is None else KeptFiles(wanted.kernels, KERNELS)
    for file, manifest in zip(files, manifests, strict=True):
        made = manifest.engine
        assert made is not None
        trt = load_library(file, made.builder)
        check_library(file, made, made.builder, str(trt.__version__))
        cuda = cuda or Cuda()
        check_gpu(file, made, cuda.compute_capability)
        with cuda.turn():  # an engine belongs to the GPU that is current when it is loaded
            program = TensorRTEngine(file, manifest, trt, cuda.stream, wanted.cuda_graph, kept, notes)
        sessions.append(BoundSession(cuda, program, manifest, notes))
    return Loaded(sessions, cuda)


def _graph_beside(engine: Path) -> Path | None:
    """The ``.onnx`` file that ``x.sm89.engine`` came from, if it lies beside it."""
    graph = engine.with_name(graph_name(engine))
    return graph if graph.is_file() else None
