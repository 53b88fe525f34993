"""The engine: a compiled sampler as a function from a seed and conditions to samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, overload

from samplegraph.runtime.chunks import Chunks, chunk_files
from samplegraph.runtime.constants import read_constants
from samplegraph.runtime.driver import Driver, WholeGraph, check_drivable
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.evaluations import Evaluations
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.gpu.kernel_cache import kernel_folder
from samplegraph.runtime.inputs import Array
from samplegraph.runtime.loading import Wanted, load
from samplegraph.runtime.manifest import Manifest, Tensor
from samplegraph.runtime.manifest_file import read_manifest
from samplegraph.runtime.noise import Rng
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.providers import Provider
from samplegraph.runtime.request import Randomness, assemble
from samplegraph.runtime.sampling import Preview, Progress, Watching, to_device, to_host
from samplegraph.runtime.tables import drawing, table_for


class Engine:
    """A compiled sampler, loaded.

    Calls from several threads at once are allowed; on a GPU they take turns.

        engine = Engine("build/digits-ddim-25.onnx")
        images = engine(seed=0, class_labels=[3, 1, 4])          # (3, 1, 16, 16)

    Args:
        path: the ``.onnx`` file, beside which its weights file lies, if any; or an engine that `samplegraph build` made
            for this machine's GPU, beside which its sidecar lies.
        providers: of an ``.onnx`` file: ONNX Runtime's execution providers in order of preference, such as
            ``["cuda", "cpu"]``, each a name or ``(name, options)``; ``"auto"`` for the best that starts here. None for
            the CPU, which gives the same sample everywhere.
        threads: of an ``.onnx`` file: threads within an operator on the CPU; None for one per core.
        tf32: whether a GPU may multiply float32 matrices with 10 bits of mantissa. An engine never does.
        cuda_graph: whether a GPU replays captured work where it can.
        kernel_cache: whether kernels that TensorRT-RTX compiles at the first call are kept for the next start, in the
            user's cache folder (that which ``SAMPLEGRAPH_CACHE`` names); or the folder to keep them in.

    Raises:
        InputError: the file or its weights are missing, truncated or foreign; its layout is one this runtime
            cannot drive; ONNX Runtime, a provider, an engine's library or the GPU is missing; an engine of another
            graph, library version or GPU.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        providers: str | Sequence[Provider] | None = None,
        threads: int | None = None,
        *,
        tf32: bool = False,
        cuda_graph: bool = True,
        kernel_cache: bool | str | os.PathLike[str] = True,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix == ".json":
            raise InputError(f"{self.path}: is no graph; give the .onnx file, or the engine, that it belongs to")
        self.manifest: Manifest = read_manifest(self.path)
        check_drivable(self.path, self.manifest)
        chunk = self.manifest.chunk
        files = [self.path] if chunk is None else chunk_files(self.path, chunk)
        manifests = [self.manifest] if chunk is None else [read_manifest(file) for file in files]
        self._notes = Notes()
        wanted = Wanted(providers, threads, tf32, cuda_graph, kernel_folder(kernel_cache))
        loaded = load(files, manifests, wanted, self._notes)
        self._cuda, self._session = loaded.cuda, loaded.sessions[0]
        known, last = self.manifest.recurrence, self.manifest.scheduler.steps - 1
        if chunk is not None:
            self.driver: Driver = Chunks(files, manifests, loaded.sessions)
        elif known is not None:
            self._constants = read_constants(self.path, known)
            self.driver = Evaluations(self.manifest, self._session, known.tables[0], self._constants)
        else:
            self.driver = WholeGraph(self._session, last)

    def __repr__(self) -> str:
        takes = ", ".join(tensor.name for tensor in self.inputs)
        return f"<Engine {self.manifest.name}: {takes} -> {self.manifest.result.name}, by {', '.join(self.providers)}>"

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The sampler's inputs: names, dtypes, shapes, meaning, defaults and allowed values."""
        return self.manifest.sampler_inputs

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs it: ONNX Runtime's execution providers, or an engine's library."""
        return self.driver.providers

    @property
    def notes(self) -> tuple[str, ...]:
        """What else there is to know: why ``auto`` passed over a provider, or no CUDA graph is used."""
        return tuple(self._notes)

    @overload
    def __call__(
        self,
        seed: int | Sequence[int] | None = None,
        *,
        noise: object = None,
        step_noise: object = None,
        samples: int | None = None,
        rng: Rng = "torch",
        progress: Progress | None = None,
        preview: Preview | None = None,
        steps: int | None = None,
        device_output: Literal[False] = False,
        **conditions: object,
    ) -> Array: ...

    @overload
    def __call__(
        self,
        seed: int | Sequence[int] | None = None,
        *,
        noise: object = None,
        step_noise: object = None,
        samples: int | None = None,
        rng: Rng = "torch",
        progress: Progress | None = None,
        preview: Preview | None = None,
        steps: int | None = None,
        device_output: Literal[True],
        **conditions: object,
    ) -> DeviceArray: ...

    def __call__(
        self,
        seed: int | Sequence[int] | None = None,
        *,
        noise: object = None,
        step_noise: object = None,
        samples: int | None = None,
        rng: Rng = "torch",
        progress: Progress | None = None,
        preview: Preview | None = None,
        steps: int | None = None,
        device_output: bool = False,
        **conditions: object,
    ) -> Array | DeviceArray:
        """Draw M samples.

        M is the common number of rows of a seed list, ``samples``, the noise arrays and the conditions. A
        graph of static batch B is called ceil(M / B) times.

        Args:
            seed: one seed (the noise of all M samples is drawn as one batch, as in a diffusers pipeline), or
                M seeds, one stream each, so that a sample does not depend on its batch. None where the graph
                takes no noise, as most inversions.
            noise: unit normal (M, ...) in place of a seed.
            step_noise: unit normal (K, M, ...), with ``noise`` (of an inversion alone), where the scheduler draws
                K > 0 slices.
            samples: M.
            rng: ``"torch"`` draws what ``torch.randn`` draws on the CPU; ``"philox"`` is counter-based.
            progress: called as ``progress(done, total)`` after each call of a graph, and after each step of the
                ``step`` layout. Where it, or ``preview``, returns False the run ends.
            preview: called as ``preview(step, x0)`` with the clean samples predicted so far (B, ...), after each
                chunk and each step; a whole graph shows none.
            steps: for the ``step`` layout, one of the step counts that there is a table for.
            device_output: leave the samples on the GPU that the engine runs on.
            conditions: the graph's other inputs by name (``init_sample`` and ``mask`` among them), M rows or one
                for all; ``guidance_scale`` and other inputs with a default may be left out. These and the noise arrays
                may lie on the engine's GPU: whatever has ``__dlpack__`` is read there, without a copy in the host.

        Returns:
            The samples, (M, ...): a numpy array, or with ``device_output`` one that has ``__dlpack__``.

        Raises:
            InputError: an argument is missing, not known, or of a wrong dtype, shape or value.
            CancelledError: ``progress`` or ``preview`` returned False.
        """
        driver, manifest = self._for(steps)
        cuda, watching = self._cuda, Watching(progress, preview)
        if device_output and cuda is None:
            raise InputError(f"device_output={device_output!r}: {self.path} runs on the host; leave it out")
        with nullcontext() if cuda is None else cuda.turn():
            request = assemble(manifest, Randomness(seed, noise, step_noise, rng), samples, conditions, cuda)
            if device_output and cuda is not None:
                return to_device(driver, manifest, request, watching, cuda)
            return to_host(driver, manifest, request, watching, cuda)

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
        driver = Evaluations(self.manifest, self._session, table, self._constants)
        return driver, drawing(self.manifest, table.noise_slices)
