"""The step and repeated layouts: a graph of one or some evaluations, driven through a sampler by a table."""

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
    """Calls the graph for K rows of ``table`` at a time; shows its position after each call that ends a step.

    The registers begin as the table's combination of noise and ``init_sample``, made in the host's memory, and zeros.
    Where K does not divide the number of evaluations, the first call begins with rows that leave the registers as they
    are.

    Args:
        constants: (rows, width) of all tables, where the graph reads such.
    """

    def __init__(
        self, manifest: Manifest, session: Session, table: CoefficientTable, constants: Array | None = None
    ) -> None:
        assert manifest.recurrence is not None
        self._session, self._table, self._size = session, table, manifest.recurrence.evaluations
        self.padding = -len(table.step_of) % self._size
        self._calls = (self.padding + len(table.step_of)) // self._size
        own = slice(table.first_constants, table.first_constants + len(table.step_of))
        given = {"timestep": np.asarray(table.timesteps), "coefficients": np.asarray(table.coefficients)}
        given |= {"constants": constants[own]} if constants is not None else {}
        self._rows = {
            t.name: self._padded(t.role, given[t.role]).astype(t.dtype).reshape(self._calls, *map(int, t.shape))
            for t in manifest.inputs
            if t.role in given
        }
        self._slices = manifest.recurrence.slices
        self._names = [t.name for t in manifest.inputs]
        self._state = [f"state_{j}{CARRIED}" for j in range(len(manifest.recurrence.registers) - 1)]
        #: The last evaluation of each step.
        self.ends = [e for e, step in enumerate(table.step_of) if step not in table.step_of[e + 1 :]]
        # The step that has ended after a call, where the call ends one.
        self._shown = {(self.padding + e) // self._size: table.step_of[e] for e in self.ends}

    @property
    def providers(self) -> tuple[str, ...]:
        return self._session.providers

    @property
    def stops(self) -> int:
        return len(self._shown)

    def run(self, feed: Mapping[str, Value], watch: Watch | None = None) -> Value:
        scales = {"noise": self._table.init_noise_sigma, "init_sample": self._table.init_sample_scale}
        parts = [host(feed[name]) * np.float32(scale) for name, scale in scales.items() if name in feed]
        first: Array = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        zeros = np.zeros_like(first)
        sample: Value = first
        state: Sequence[Value] = [zeros] * len(self._state)
        step_noise = host(feed["step_noise"]) if self._slices and self._table.noise_slices else zeros[None]
        fixed = {name: feed[name] for name in self._names if name in feed and name != "step_noise"}
        for call in range(self._calls):
            row: dict[str, Value] = {f"sample{CARRIED}": sample, **dict(zip(self._state, state, strict=True))}
            row |= {name: np.asarray(rows[call]) for name, rows in self._rows.items()}
            if self._slices:
                row["step_noise"] = self._draws(call, zeros, step_noise)
            sample, *state, x0 = self._session.run({**fixed, **row})
            if watch is not None and call in self._shown:
                watch(Position(self._shown[call], sample, x0))
        return sample

    def _padded(self, role: str, rows: Array) -> Array:
        """``rows`` behind as many as the first call has too many: the first one again, but that nothing changes."""
        idle = np.repeat(rows[:1], self.padding, axis=0)
        if role == "coefficients":
            idle[:, 2:] = np.eye(*rows.shape[1:])[: rows.shape[1] - 2]
        return np.concatenate([idle, rows])

    def _draws(self, call: int, like: Array, step_noise: Array) -> Array:
        draws = np.zeros((self._size * self._slices, *like.shape), dtype=like.dtype)
        first = call * self._size - self.padding
        for j in range(max(first, 0), first + self._size):
            for k, index in enumerate(self._table.slices[j]):
                draws[(j - first) * self._slices + k] = step_noise[index]
        return draws
