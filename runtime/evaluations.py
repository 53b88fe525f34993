"""The step layout: a graph of one evaluation, driven through a sampler by a table of coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from samplegraph.runtime.driver import Position, Watch
from samplegraph.runtime.inputs import Array
from samplegraph.runtime.manifest import CoefficientTable, Manifest
from samplegraph.runtime.manifest_layouts import CARRIED
from samplegraph.runtime.session import Session
from samplegraph.runtime.values import Value, host


class Evaluations:
    """Calls the graph once per row of ``table``; shows its position after each step.

    The registers begin as the table's combination of noise and ``init_sample``, made in the host's memory, and zeros.
    """

    def __init__(self, manifest: Manifest, session: Session, table: CoefficientTable) -> None:
        assert manifest.recurrence is not None
        self._session, self._table, self._registers = session, table, len(manifest.recurrence.registers)
        self._coefficients = np.asarray(table.coefficients, dtype=np.float32)
        told = next(t for t in manifest.inputs if t.role == "timestep")
        self._timesteps = np.asarray(table.timesteps).astype(told.dtype)
        self._slices = manifest.recurrence.slices
        self._names = [t.name for t in manifest.inputs]
        self._state = [f"state_{j}{CARRIED}" for j in range(self._registers - 1)]
        # The last evaluation of each step.
        self._ends = {e for e, step in enumerate(table.step_of) if step not in table.step_of[e + 1 :]}

    @property
    def providers(self) -> tuple[str, ...]:
        return self._session.providers

    @property
    def stops(self) -> int:
        return len(self._ends)

    def run(self, feed: Mapping[str, Value], watch: Watch | None = None) -> Value:
        scales = {"noise": self._table.init_noise_sigma, "init_sample": self._table.init_sample_scale}
        parts = [host(feed[name]) * np.float32(scale) for name, scale in scales.items() if name in feed]
        first: Array = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        zeros = np.zeros_like(first)
        sample: Value = first
        state: Sequence[Value] = [zeros] * len(self._state)
        step_noise = host(feed["step_noise"]) if self._slices and self._table.noise_slices else zeros[None]
        fixed = {name: feed[name] for name in self._names if name in feed and name != "step_noise"}
        for e, step in enumerate(self._table.step_of):
            row: dict[str, Value] = {f"sample{CARRIED}": sample, **dict(zip(self._state, state, strict=True))}
            row |= {"timestep": np.asarray(self._timesteps[e]), "coefficients": self._coefficients[e]}
            if self._slices:
                row["step_noise"] = self._draws(e, zeros, step_noise)
            sample, *state, x0 = self._session.run({**fixed, **row})
            if watch is not None and e in self._ends:
                watch(Position(step, sample, x0))
        return sample

    def _draws(self, e: int, like: Array, step_noise: Array) -> Array:
        draws = np.zeros((self._slices, *like.shape), dtype=like.dtype)
        for k, index in enumerate(self._table.slices[e]):
            draws[k] = step_noise[index]
        return draws
