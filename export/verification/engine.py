"""An engine, on its GPU, against the eager sampler on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from samplegraph.export.atomic import scratch_folder
from samplegraph.export.engine.batch_profile import BatchProfile
from samplegraph.export.engine.builders import BUILDERS
from samplegraph.export.engine.files import EnginePlan, plan_engines
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.export.errors import ExportError, VerificationError
from samplegraph.export.signature import EXAMPLE_BATCH, Signature
from samplegraph.export.verification.comparison import Verification
from samplegraph.export.verification.engine_sources import engine_files
from samplegraph.export.verification.examples import example_inputs
from samplegraph.export.verification.probe import drive
from samplegraph.export.verification.verify import LEAST_COSINE, eager_samples, failure, measured
from samplegraph.models import Sampler
from samplegraph.runtime import Engine
from samplegraph.runtime.engine_file import graph_name
from samplegraph.runtime.inputs import Array
from samplegraph.runtime.loading import Wanted, load
from samplegraph.runtime.manifest import EngineInfo, Manifest
from samplegraph.runtime.manifest_file import read_manifest
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.session import Session
from samplegraph.runtime.values import Value, host

#: Largest allowed ``max |engine - eager| / max |eager|`` after each step, in float32 without TF32.
TOLERANCE = 1e-3


def verify_engine(
    file: Path, sampler: Sampler, sig: Signature, build: Callable[[EnginePlan], object], *, seed: int = 0
) -> tuple[Verification, str]:
    """Compare the engine ``file``, or the set that it belongs to, with ``sampler`` on noise drawn from ``seed``.

    Its end is that of the engine itself. The samples before it are outputs of an engine of one evaluation; of others,
    whose samples stay inside, they come from a second build of the same graphs that has them as outputs.

    Args:
        sig: of as many rows as the engine takes, see ``rows_for``.
        build: builds one engine.

    Returns:
        The comparison, and why there is only that of the end; empty where there is that of every step.

    Raises:
        VerificationError: the engine is too far from eager after a step, or not finite.
        ExportError: the model refuses its inputs.
        InputError: the engine cannot be run.
    """
    inputs, manifest = example_inputs(sampler, sig, seed), read_manifest(file)
    expected = eager_samples(sampler, inputs)
    given = {name: value.numpy() for name, value in inputs.items()}
    end: Array = Engine(file)(**given)  # type: ignore[call-overload]
    found, why = [end], ""
    try:
        found = [*every_step(file, given, build)[:-1], end]
    except ExportError as error:
        why = str(error)
    tolerance = None if manifest.precision in LEAST_COSINE else TOLERANCE
    result = measured(file.name, sampler, found, expected, manifest.precision, tolerance, {})
    if result.first_divergent is not None:
        raise VerificationError(failure(file.name, result))
    return result, why


def rows_for(made: EngineInfo) -> int | None:
    """How many samples to compare at once: as for graphs, or as near as can be; None where the batch is static."""
    return min(max(EXAMPLE_BATCH, made.batch[0]), made.batch[2]) if made.batch else None


def every_step(file: Path, inputs: Mapping[str, Array], build: Callable[[EnginePlan], object]) -> list[Array]:
    """The sample after each step.

    Raises:
        ExportError: the graph is not there, names no samples inside, or cannot be built.
        InputError: an engine fails.
    """
    files = engine_files(file)
    manifests = [read_manifest(each) for each in files]
    inside = [_inside(manifest) for manifest in manifests]
    if not any(inside):
        return _run(file, files, manifests, inputs)
    graph, made = file.with_name(graph_name(file)), manifests[0].engine
    assert made is not None
    if not graph.is_file():
        raise ExportError(f"{graph.name} is not beside it")
    settings = BuildSettings(BatchProfile(*made.batch) if made.batch else None)
    plans = plan_engines(graph, BUILDERS[made.builder], (made.target,), settings)
    with scratch_folder() as folder:
        engines = [folder / each.name for each in files]
        for plan, output, visited in zip(plans, engines, inside, strict=True):
            build(replace(plan, output=output, visited=visited))
        return _run(file, engines, [read_manifest(each) for each in engines], inputs)


def _run(
    file: Path, engines: Sequence[Path], manifests: Sequence[Manifest], inputs: Mapping[str, Array]
) -> list[Array]:
    """Drive ``engines``, called as those of the set of ``file``, whose manifests and constants tell how."""
    loaded = load(engines, manifests, Wanted(None, None, tf32=False, cuda_graph=True), Notes())
    known = {
        engine.name: (session, [t.name for t in manifest.outputs])
        for engine, session, manifest in zip(engines, loaded.sessions, manifests, strict=True)
    }
    assert loaded.cuda is not None
    with loaded.cuda.turn():
        return drive(
            file,
            inputs,
            lambda path, own, visited: _Watched(*known[path.name], own, visited),
            manifests[0].tables.visited,
        )


class _Watched:
    """An engine, whose outputs are those of its driver and those to keep."""

    def __init__(self, session: Session, names: Sequence[str], own: Sequence[str], visited: Sequence[str]) -> None:
        self._session, self._names, self._own, self._visited = session, names, own, visited
        self.samples: list[Array] = []

    @property
    def providers(self) -> tuple[str, ...]:
        return self._session.providers

    def run(self, feed: Mapping[str, Value]) -> list[Value]:
        found = dict(zip(self._names, self._session.run(feed), strict=True))
        self.samples += [np.array(host(found[name])) for name in self._visited]
        return [found[name] for name in self._own]


def _inside(manifest: Manifest) -> tuple[str, ...]:
    """Samples after steps that are no outputs."""
    own = {t.name for t in manifest.outputs}
    return tuple(dict.fromkeys(name for name in manifest.tables.visited if name not in own))
