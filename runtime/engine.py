"""The engine: a compiled sampler as a function from a seed and conditions to samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from samplegraph.runtime.batching import calls, split
from samplegraph.runtime.chunks import Chunks, chunk_files
from samplegraph.runtime.driver import Driver, Position, WholeGraph
from samplegraph.runtime.errors import CancelledError, InputError
from samplegraph.runtime.evaluations import Evaluations
from samplegraph.runtime.inputs import Array
from samplegraph.runtime.manifest import RESERVED, Manifest, Tensor
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES, read_manifest
from samplegraph.runtime.noise import Rng
from samplegraph.runtime.onnx_session import OnnxSession
from samplegraph.runtime.providers import Provider
from samplegraph.runtime.request import Randomness, assemble
from samplegraph.runtime.tables import table_for

#: Layouts this runtime can drive.
LAYOUTS = ("unrolled", "loop", "chunked", "step")


class Engine:
    """A compiled sampler, loaded.

    Calls from several threads at once are allowed: a call changes nothing in the engine.

        engine = Engine("build/digits-ddim-25.onnx")
        images = engine(seed=0, class_labels=[3, 1, 4])          # (3, 1, 16, 16)

    Args:
        path: the ``.onnx`` file; its weights file, if any, lies beside it.
        providers: ONNX Runtime's execution providers in order of preference, such as ``["cuda", "cpu"]``;
            each a name or ``(name, options)``. None for the CPU.
        threads: threads within an operator; None for one per core.

    Raises:
        InputError: the file or its weights are missing, truncated or foreign; its layout is one this runtime
            cannot drive; ONNX Runtime or a provider is missing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        providers: str | Sequence[Provider] | None = None,
        threads: int | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix in (".json", *ENGINE_SUFFIXES):
            raise InputError(f"{self.path}: this runtime runs .onnx files; give the .onnx file it belongs to")
        self.manifest: Manifest = read_manifest(self.path)
        _check_layout(self.path, self.manifest)
        if self.manifest.chunk is not None:
            files = chunk_files(self.path, self.manifest.chunk)
            manifests = [read_manifest(file) for file in files]
            sessions = [OnnxSession(f, m, providers, threads) for f, m in zip(files, manifests, strict=True)]
            self.driver: Driver = Chunks(files, manifests, sessions)
        else:
            self._session = OnnxSession(self.path, self.manifest, providers, threads)
            known, last = self.manifest.recurrence, self.manifest.scheduler.steps - 1
            first = Evaluations(self.manifest, self._session, known.tables[0]) if known else None
            self.driver = first or WholeGraph(self._session, last)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The sampler's inputs: names, dtypes, shapes, meaning, defaults and allowed values."""
        return self.manifest.sampler_inputs

    @property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime's execution providers in use."""
        return self.driver.providers

    def __call__(
        self,
        seed: int | Sequence[int] | None = None,
        *,
        noise: object = None,
        step_noise: object = None,
        samples: int | None = None,
        rng: Rng = "torch",
        progress: Callable[[int, int], object] | None = None,
        preview: Callable[[int, Array], object] | None = None,
        steps: int | None = None,
        **conditions: object,
    ) -> Array:
        """Draw M samples.

        M is the common number of rows of a seed list, ``samples``, the noise arrays and the conditions. A
        graph of static batch B is called ceil(M / B) times.

        Args:
            seed: one seed (the noise of all M samples is drawn as one batch, as in a diffusers pipeline), or
                M seeds, one stream each, so that a sample does not depend on its batch. None where the graph
                takes no noise, as an inversion.
            noise: unit normal (M, ...) in place of a seed.
            step_noise: unit normal (K, M, ...), with ``noise``, where the scheduler draws K > 0 slices.
            samples: M.
            rng: ``"torch"`` draws what ``torch.randn`` draws on the CPU; ``"philox"`` is counter-based.
            progress: called as ``progress(done, total)`` after each call of a graph, and after each step of the
                ``step`` layout. Where it, or ``preview``, returns False the run ends.
            preview: called as ``preview(step, x0)`` with the clean samples predicted so far (B, ...), after each
                chunk and each step; a whole graph shows none.
            steps: for the ``step`` layout, one of the step counts that there is a table for.
            conditions: the graph's other inputs by name (``init_sample`` and ``mask`` among them), M rows or one
                for all; ``guidance_scale`` and other inputs with a default may be left out.

        Returns:
            The samples, (M, ...).

        Raises:
            InputError: an argument is missing, not known, or of a wrong dtype, shape or value.
            CancelledError: ``progress`` or ``preview`` returned False.
        """
        driver, manifest = self._for(steps)
        request = assemble(manifest, Randomness(seed, noise, step_noise, rng), samples, conditions)
        total = calls(request.samples, manifest.batch) * driver.stops
        parts: list[Array] = []
        done = count(1)
        for rows, feed in split(request, manifest.sampler_inputs, manifest.batch):

            def watch(position: Position, rows: int = rows) -> None:
                go_on = progress(next(done), total) if progress is not None else None
                if preview is not None and position.x0 is not None and go_on is not False:
                    go_on = preview(position.step, position.x0[:rows])
                if go_on is False:
                    raise CancelledError(f"{manifest.name}: stopped after step {position.step + 1}")

            parts.append(driver.run(feed, watch)[:rows])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _for(self, steps: int | None) -> tuple[Driver, Manifest]:
        """What runs ``steps`` steps, and the manifest of that sampler."""
        known = self.manifest.recurrence
        if steps is None:
            return self.driver, self.manifest
        if known is None:
            own = self.manifest.scheduler.steps
            if steps == own:
                return self.driver, self.manifest
            raise InputError(f"steps={steps!r}: {self.path} takes {own} steps; export one with --layout step to choose")
        table = table_for(self.path, known, steps)
        return Evaluations(self.manifest, self._session, table), self._drawing(table.noise_slices)

    def _drawing(self, slices: int) -> Manifest:
        """The manifest, its noise that of a sampler which draws so many slices."""
        shape = next((t.shape for t in self.manifest.caller if t.role == "noise"), ())
        draws = next((t for t in self.manifest.caller if t.role == "step_noise"), None)
        caller = tuple(t for t in self.manifest.caller if t.role != "step_noise")
        if slices:
            one = draws or Tensor("step_noise", "float32", (), "step_noise", "unit normal, one slice per draw")
            caller = (*caller, replace(one, shape=(slices, *shape)))
        return replace(self.manifest, caller=caller, noise=replace(self.manifest.noise, slices=slices))


def _check_layout(path: Path, manifest: Manifest) -> None:
    if manifest.layout.partition(":")[0] not in LAYOUTS:
        raise InputError(
            f"{path}: layout {manifest.layout!r} is not one this runtime drives ({', '.join(LAYOUTS)}); "
            "update samplegraph"
        )
    for tensor in manifest.sampler_inputs:
        if tensor.name in RESERVED:
            raise InputError(
                f"{path}: an input is called {tensor.name!r}, as is an argument of the call; rename it"
            )
