"""The engine: a compiled sampler as a function from a seed and conditions to samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from samplegraph.runtime.batching import calls, split
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.inputs import Array
from samplegraph.runtime.manifest import RESERVED, Manifest, Tensor
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES, read_manifest
from samplegraph.runtime.noise import Rng
from samplegraph.runtime.onnx_session import OnnxSession
from samplegraph.runtime.providers import Provider
from samplegraph.runtime.request import Randomness, assemble

#: Layouts this runtime can drive.
LAYOUTS = ("unrolled",)


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
        self._session = OnnxSession(self.path, self.manifest, providers, threads)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The graph's inputs: names, dtypes, shapes, meaning, defaults and allowed values."""
        return self.manifest.inputs

    @property
    def providers(self) -> tuple[str, ...]:
        """ONNX Runtime's execution providers in use."""
        return self._session.providers

    def __call__(
        self,
        seed: int | Sequence[int] | None = None,
        *,
        noise: object = None,
        step_noise: object = None,
        samples: int | None = None,
        rng: Rng = "torch",
        progress: Callable[[int, int], None] | None = None,
        **conditions: object,
    ) -> Array:
        """Draw M samples.

        M is the common number of rows of a seed list, ``samples``, the noise arrays and the conditions. A
        graph of static batch B is called ceil(M / B) times.

        Args:
            seed: one seed (the noise of all M samples is drawn as one batch, as in a diffusers pipeline), or
                M seeds, one stream each, so that a sample does not depend on its batch.
            noise: unit normal (M, ...) in place of a seed.
            step_noise: unit normal (K, M, ...), with ``noise``, where the scheduler draws K > 0 slices.
            samples: M.
            rng: ``"torch"`` draws what ``torch.randn`` draws on the CPU; ``"philox"`` is counter-based.
            progress: called as ``progress(done, total)`` after each call of the graph.
            conditions: the graph's other inputs by name, M rows or one for all; ``guidance_scale`` and other
                inputs with a default may be left out.

        Returns:
            The samples, (M, ...).

        Raises:
            InputError: an argument is missing, not known, or of a wrong dtype, shape or value.
        """
        request = assemble(self.manifest, Randomness(seed, noise, step_noise, rng), samples, conditions)
        batch = self.manifest.batch
        total = calls(request.samples, batch)
        parts: list[Array] = []
        for rows, feed in split(request, self.manifest.inputs, batch):
            parts.append(self._session.run(feed)[0][:rows])
            if progress is not None:
                progress(len(parts), total)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _check_layout(path: Path, manifest: Manifest) -> None:
    if manifest.layout not in LAYOUTS:
        raise InputError(
            f"{path}: layout {manifest.layout!r} is not one this runtime drives ({', '.join(LAYOUTS)}); "
            "update samplegraph"
        )
    for tensor in manifest.inputs:
        if tensor.name in RESERVED:
            raise InputError(
                f"{path}: an input is called {tensor.name!r}, as is an argument of the call; rename it"
            )
