"""Runs a graph file, on the CPU by ONNX Runtime, and keeps the values inside it that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import onnx
import torch

from samplegraph.export.errors import ExportError
from samplegraph.export.precision.rounded import rounded as with_roundings
from samplegraph.runtime.chunks import chunk_feed, chunk_files
from samplegraph.runtime.constants import read_constants
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.evaluations import Evaluations
from samplegraph.runtime.manifest import Chunk, Manifest, OptimizedFor, Recurrence
from samplegraph.runtime.manifest_file import read_manifest
from samplegraph.runtime.optimized import load_as_it_stands
from samplegraph.runtime.precision import prepare_weights
from samplegraph.runtime.session import Session
from samplegraph.runtime.values import Value

_PROBE = "probe."
#: Graphs of more nodes are verified without ONNX Runtime's last level, layouts for the CPU at hand, which takes as long
#: as all before it there and grows with the square of the nodes.
_LARGE = 20_000


def run_graph(path: Path, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """The graph's result."""
    return run_steps(path, inputs)[-1]


def run_steps(
    path: Path,
    inputs: dict[str, torch.Tensor],
    visited: Sequence[str] = (),
    optimized: OptimizedFor | None = None,
    *,
    rounded: bool = False,
) -> list[np.ndarray]:
    """The sample after each step, of a graph, of the set of chunks that it belongs to, or of a graph of evaluations;
    and last the result, where a module behind makes that of the sample.

    Args:
        visited: names of the values that hold the sample after each step of a graph that is no such set.
        rounded: compute in float32 and write out every rounding (see ``rounded``).

    Raises:
        ExportError: ONNX Runtime is not installed or refuses the graph, or that was optimised for something else.
    """
    arrays = {name: value.numpy() for name, value in inputs.items()}

    def load(file: Path, outputs: Sequence[str], inside: Sequence[str]) -> Watched:
        return _Graph(file, outputs, inside, optimized, rounded)

    return drive(path, arrays, load, visited)


class Watched(Session, Protocol):
    """A loaded graph as the runtime's drivers call it, which keeps what it visits: in every run, in order."""

    samples: list[np.ndarray]


#: From a file, the outputs that its driver takes, and the values to keep.
Load: TypeAlias = Callable[[Path, Sequence[str], Sequence[str]], Watched]


def drive(path: Path, inputs: Mapping[str, Value], load: Load, visited: Sequence[str] = ()) -> list[np.ndarray]:
    """The sample after each step of whatever ``path`` belongs to, its files loaded by ``load``.

    Args:
        visited: as in ``run_steps``.
    """
    manifest = read_manifest(path)
    if manifest.chunk is not None:
        return _run_chunks(path, inputs, manifest.chunk, load)
    if manifest.recurrence is not None:
        return _run_evaluations(path, inputs, manifest, manifest.recurrence, load)
    result = manifest.result.name
    last = (result,) if manifest.post or not visited else ()
    graph = load(path, [result], (*visited, *last))
    graph.run(inputs)
    return graph.samples


def _run_chunks(path: Path, inputs: Mapping[str, Value], first: Chunk, load: Load) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    carried: dict[str, Value] = {}
    for file in chunk_files(path, first):
        manifest = read_manifest(file)
        own = [t.name for t in manifest.outputs]
        last = own[:1] if manifest.post and not manifest.results else []
        graph = load(file, own, (*manifest.tables.visited, *last))
        carried = dict(zip(own, graph.run(chunk_feed(manifest, inputs, carried)), strict=True))
        found += graph.samples
    return found


def _run_evaluations(
    path: Path, inputs: Mapping[str, Value], manifest: Manifest, known: Recurrence, load: Load
) -> list[np.ndarray]:
    own = [t.name for t in manifest.outputs]
    graph = load(path, own, manifest.tables.visited or own[:1])
    driver = Evaluations(manifest, graph, known.tables[0], read_constants(path, known))
    driver.run(inputs)
    return [graph.samples[driver.padding + e] for e in driver.ends]


class _Graph:
    """A graph in ONNX Runtime; ``samples`` are the values named ``visited`` in all runs.

    Raises:
        ExportError: ONNX Runtime is not installed or refuses the graph, or that was optimised for something else.
    """

    providers = ("CPUExecutionProvider",)

    def __init__(
        self, path: Path, outputs: Sequence[str], visited: Sequence[str], optimized: OptimizedFor | None, rounded: bool
    ) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            what = "verification needs ONNX Runtime; install samplegraph[cpu] or pass --no-verify"
            raise ExportError(what) from error
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
        prepare_weights("int8", ["CPUExecutionProvider"], options)
        if optimized is not None:
            try:
                load_as_it_stands(path, optimized, ["CPUExecutionProvider"], options, ort)
            except InputError as error:
                raise ExportError(str(error)) from error
        inside = list(dict.fromkeys(name for name in visited if name not in outputs))
        self.samples: list[np.ndarray] = []
        self._path, self._outputs, self._visited = path, list(outputs), visited
        self._names = [*outputs, *(_PROBE + name for name in inside)]
        with self._refusing():
            source: bytes | Path = path
            if inside or rounded:
                model = _probed(path, inside, rounded)
                source = model.SerializeToString()
                if optimized is None and len(model.graph.node) > _LARGE:
                    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            self._session = ort.InferenceSession(
                source, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )

    def run(self, feed: Mapping[str, Value]) -> list[Value]:
        with self._refusing():
            results = self._session.run(self._names, dict(feed))
        found: dict[str, np.ndarray] = dict(zip(self._names, results, strict=True))
        self.samples += [found[name if name in self._outputs else _PROBE + name] for name in self._visited]
        return [found[name] for name in self._outputs]

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise ExportError(f"ONNX Runtime refuses {self._path.name}: {str(error).splitlines()[0]}") from error


def _probed(path: Path, inside: Sequence[str], rounded: bool) -> onnx.ModelProto:
    """The graph with these values as further outputs."""
    model = onnx.load(path, load_external_data=False)
    if rounded:
        model = with_roundings(model)
    kind = model.graph.output[0].type.tensor_type.elem_type
    for name in inside:
        model.graph.node.append(onnx.helper.make_node("Identity", [name], [_PROBE + name]))
        model.graph.output.append(onnx.helper.make_tensor_value_info(_PROBE + name, kind, None))
    return model
