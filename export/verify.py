"""Compares a compiled graph with the eager sampler, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from samplegraph.export.errors import VerificationError
from samplegraph.export.examples import example_inputs, run_eager, run_eager_steps
from samplegraph.export.probe import run_graph_steps
from samplegraph.export.signature import Signature
from samplegraph.models import Sampler
from samplegraph.runtime.manifest import OptimizedFor

#: Largest allowed ``max |graph - eager| / max |eager|``.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Verification:
    """How far the graph is from eager, over ``rows`` samples.

    Args:
        errors: ``max |graph - eager| / max |eager|`` of the sample after each step; of the final one alone where
            the graph does not name the others.
        cosines: cosine of the angle between the two, likewise.
        timesteps: the timestep of each of them: that of the step's first evaluation.
        tolerance: largest error allowed at the end.
    """

    errors: tuple[float, ...]
    cosines: tuple[float, ...]
    timesteps: tuple[float, ...]
    tolerance: float
    rows: int

    @property
    def error(self) -> float:
        """That of the final sample."""
        return self.errors[-1]

    @property
    def first_divergent(self) -> int | None:
        """The first step, from 0, whose error exceeds the tolerance or is not a number."""
        return next((i for i, error in enumerate(self.errors) if not error <= self.tolerance), None)

    def divergence(self) -> str:
        """``step 7 of 25 (t=681) is the first beyond 1e-05``; empty where none is, or there is only one."""
        i = self.first_divergent
        if i is None or len(self.errors) == 1:
            return ""
        return f"step {i + 1} of {len(self.errors)} (t={self.timesteps[i]:g}) is the first beyond {self.tolerance:.0e}"


def verify(
    path: Path,
    sampler: Sampler,
    sig: Signature,
    visited: Sequence[str] = (),
    optimized: OptimizedFor | None = None,
    *,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Verification:
    """Compare the graph at ``path`` with ``sampler`` on noise drawn from ``seed``.

    Args:
        visited: names of the values that hold the sample after each step, as in the manifest.
        optimized: what the graph was optimised for, likewise.

    Raises:
        VerificationError: the error exceeds ``tolerance``, or either result is not finite.
        ExportError: ONNX Runtime is not installed or refuses the graph.
    """
    inputs = example_inputs(sampler, sig, seed)
    expected = run_eager_steps(sampler, inputs)
    found = run_graph_steps(path, inputs, visited or ("sample",), optimized)
    if not np.isfinite(expected[-1]).all():
        raise VerificationError("the eager sampler gives NaN or infinity on unit noise; check the model's weights")
    result = compare(found, expected, step_timesteps(sampler), tolerance)
    if not np.isfinite(found[-1]).all():
        raise VerificationError(
            f"{path.name} gives NaN or infinity where the eager sampler does not{_where(result)}; please report it"
        )
    if result.error > tolerance:
        raise VerificationError(
            f"{path.name} differs from the eager sampler by {result.error:.1e} (relative to its largest value), more "
            f"than {tolerance:.0e}{_where(result)}{_excuse(sampler, inputs, expected[-1], result.error)}; nothing was "
            "kept"
        )
    return result


def compare(
    found: Sequence[np.ndarray], expected: Sequence[np.ndarray], timesteps: Sequence[float], tolerance: float
) -> Verification:
    """``found`` against the last of ``expected``, both one array (B, ...) per step."""
    pairs = list(zip(reversed(found), reversed(expected), strict=False))[::-1]
    errors = tuple(relative_error(f, e) for f, e in pairs)
    cosines = tuple(cosine(f, e) for f, e in pairs)
    return Verification(errors, cosines, tuple(timesteps[-len(pairs) :]), tolerance, len(expected[-1]))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """``max |found - expected| / max |expected|``."""
    with np.errstate(invalid="ignore"):
        return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """Cosine of the angle between the two as vectors; 1 where both are zero."""
    a, b = found.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale else float(np.array_equal(a, b))


def step_timesteps(sampler: Sampler) -> list[float]:
    """The timestep of each step, that of its first evaluation; of a step without one, the grid's."""
    seen, grid = sampler.denoiser.timesteps, sampler.scheduler.grid.timesteps
    return [float(seen[p[0]] if p else grid[i]) for i, p in enumerate(sampler.profile.evaluations)]


def _where(result: Verification) -> str:
    text = result.divergence()
    return f": {text}" if text else ""


def _excuse(sampler: Sampler, inputs: dict[str, torch.Tensor], expected: np.ndarray, error: float) -> str:
    """Where the eager sampler itself magnifies rounding to about ``error``, say so: no graph could do better."""
    by = 1 + 2**-22
    hook = sampler.denoiser.network.register_forward_hook(
        lambda _module, _inputs, output: output * by if isinstance(output, torch.Tensor) else output
    )
    try:
        moved = run_eager(sampler, {**inputs, "noise": inputs["noise"] * by})
    finally:
        hook.remove()
    change = float(np.abs(moved - expected).max() / max(float(np.abs(expected).max()), 1e-30))
    if not change > error / 4:
        return ""
    return (
        f" (the eager sampler is ill-conditioned: it changes by {change:.1e} when its noise and the model's outputs "
        "change by 2e-7; few steps from a large sigma do that, and clip_sample with an untrained model; take more "
        "steps, --set clip_sample=false, or --no-verify)"
    )
