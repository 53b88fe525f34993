"""How far two runs of a sampler are apart after each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Verification:
    """How far the graph is from eager, over ``rows`` samples.

    Args:
        errors: ``max |graph - eager| / max |eager|`` of the sample after each step, and of the result, where a module
            behind makes that of the last; of the result alone where the graph does not name the others.
        cosines: cosine of the angle between the two, likewise.
        timesteps: the timestep of each of them: that of the step's first evaluation; None of such a result.
        tolerance: largest error allowed at the end; None where only the cosine counts.
        least_cosine: least cosine allowed after any step; None where only the error counts.
        others: cosines of further runs, by what was run.
    """

    errors: tuple[float, ...]
    cosines: tuple[float, ...]
    timesteps: tuple[float | None, ...]
    rows: int
    tolerance: float | None = None
    least_cosine: float | None = None
    others: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """That of the final sample."""
        return self.errors[-1]

    @property
    def cosine(self) -> float:
        """The least of all steps and runs, NaN where one is."""
        return float(np.min([self.cosines, *self.others.values()]))

    @property
    def passed(self) -> bool:
        """Whether the final error is within the tolerance, and every step's cosine is large enough."""
        close = self.tolerance is None or self.error <= self.tolerance
        return close and (self.least_cosine is None or self.cosine >= self.least_cosine)

    @property
    def first_divergent(self) -> int | None:
        """The first step, from 0, that is beyond what is allowed or not a number."""
        return next((i for i in range(len(self.errors)) if not self._agrees(i)), None)

    def divergence(self) -> str:
        """``step 7 of 25 (t=681) is the first beyond 1e-05``; empty where none is, or there is only one."""
        i = self.first_divergent
        if i is None or len(self.errors) == 1:
            return ""
        least = self.least_cosine
        beyond = f"beyond {self.tolerance:.0e}" if least is None else f"below a cosine of {least:g}"
        return f"{self.place(i)} is the first {beyond}"

    def place(self, i: int) -> str:
        """``step 7 of 25 (t=681)``, or ``the result behind step 25``."""
        steps, t = len(self.errors) - (self.timesteps[-1] is None), self.timesteps[i]
        return f"the result behind step {steps}" if t is None else f"step {i + 1} of {steps} (t={t:g})"

    def _agrees(self, i: int) -> bool:
        if self.least_cosine is None:
            return self.tolerance is None or self.errors[i] <= self.tolerance
        return all(run[i] >= self.least_cosine for run in (self.cosines, *self.others.values()))


def errors_of(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> tuple[float, ...]:
    """``max |found - expected| / max |expected|`` of each."""
    return tuple(relative_error(f, e) for f, e in zip(found, expected, strict=True))


def cosines_of(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> tuple[float, ...]:
    """Cosine between the two of each."""
    return tuple(cosine(f, e) for f, e in zip(found, expected, strict=True))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """``max |found - expected| / max |expected|``."""
    with np.errstate(invalid="ignore"):
        return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """Cosine of the angle between the two as vectors; 1 where both are zero."""
    a, b = found.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    with np.errstate(invalid="ignore"):
        scale = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / scale if scale else float(np.array_equal(a, b))
