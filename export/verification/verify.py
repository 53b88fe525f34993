"""Compares a compiled graph with the eager sampler, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from samplegraph.export.errors import ExportError, VerificationError
from samplegraph.export.signature import Signature
from samplegraph.export.verification.comparison import Verification, cosines_of, errors_of
from samplegraph.export.verification.examples import example_inputs, run_eager, run_eager_steps
from samplegraph.export.verification.probe import run_steps
from samplegraph.models import Sampler
from samplegraph.models.task import INIT, NOISE
from samplegraph.runtime.manifest import OptimizedFor

#: Largest allowed ``max |graph - eager| / max |eager|`` at the end, in float32.
TOLERANCE = 1e-5
#: Least allowed cosine after every step, where the network computes in less than float32.
LEAST_COSINE = {"fp16": 0.999, "bf16": 0.999, "int8": 0.99}


def verify(
    path: Path,
    sampler: Sampler,
    sig: Signature,
    visited: Sequence[str] = (),
    optimized: OptimizedFor | None = None,
    precision: str = "fp32",
    *,
    seed: int = 0,
    tolerance: float | None = None,
) -> Verification:
    """Compare the graph at ``path`` with ``sampler`` on noise drawn from ``seed``.

    A network in less than float32 is compared by the cosine, and a second time with all roundings written out
    (``rounded``), unless ONNX Runtime has already put its own casts into it. Of bfloat16, which its CPU provider
    lacks, there is that, and eager under torch's autocast.

    Args:
        visited: names of the values that hold the sample after each step,
        optimized: what the graph was optimised for, and
        precision: what the network computes in, all as in the manifest.
        tolerance: of the final error; 1e-5 in float32, and none in less, where left out.

    Raises:
        VerificationError: the graph is too far from eager, or either result is not finite.
        ExportError: ONNX Runtime is not installed or refuses the graph, or the model refuses its inputs.
    """
    inputs = example_inputs(sampler, sig, seed)
    expected = eager_samples(sampler, inputs)
    found = run_steps(path, inputs, visited, optimized, rounded=precision == "bf16")
    steps = slice(-len(found), None)
    others = {}
    if precision == "fp16" and optimized is None:
        written_out = run_steps(path, inputs, visited, rounded=True)
        others["all roundings"] = cosines_of(written_out, expected[steps])
    if precision == "bf16" and sampler.denoiser.dtype == torch.float32:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            others["eager bf16"] = cosines_of(run_eager_steps(sampler, inputs)[steps], expected[steps])
    allowed = TOLERANCE if tolerance is None and precision not in LEAST_COSINE else tolerance
    result = measured(path.name, sampler, found, expected, precision, allowed, others)
    if not result.passed:
        excuse = _excuse(sampler, inputs, expected[-1], result.error)
        raise VerificationError(f"{failure(path.name, result)}{excuse}; nothing was kept")
    return result


def eager_samples(sampler: Sampler, inputs: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """The eager sampler's sample after each step.

    Raises:
        VerificationError: the last is not finite.
        ExportError: the model refuses its inputs.
    """
    try:
        found = run_eager_steps(sampler, inputs)
    except (IndexError, ValueError) as cause:
        reason = f"{type(cause).__name__}: {' '.join(str(cause).split())}"
        raise ExportError(f"the model cannot be called with its example conditions: {reason}") from cause
    if not np.isfinite(found[-1]).all():
        raise VerificationError("the eager sampler gives NaN or infinity on unit noise; check the model's weights")
    return found


def measured(
    name: str,
    sampler: Sampler,
    found: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    precision: str,
    tolerance: float | None,
    others: Mapping[str, tuple[float, ...]],
) -> Verification:
    """How far ``found`` is from the last samples that are ``expected``, by the precision's cosine and ``tolerance``.

    Args:
        name: of the file, for errors.

    Raises:
        VerificationError: not finite.
    """
    steps = slice(-len(found), None)
    result = Verification(
        errors_of(found, expected[steps]),
        cosines_of(found, expected[steps]),
        tuple([*step_timesteps(sampler), *([None] if sampler.post else [])][steps]),
        len(expected[-1]),
        tolerance,
        LEAST_COSINE.get(precision),
        others,
    )
    if not np.isfinite(found[-1]).all() or not np.isfinite(result.cosine):
        raise VerificationError(
            f"{name} gives NaN or infinity where the eager sampler does not{_where(result)}{_range_advice(precision)}"
        )
    return result


def step_timesteps(sampler: Sampler) -> list[float]:
    """The timestep of each step, that of its first evaluation; of a step without one, the grid's."""
    seen, grid = sampler.denoiser.timesteps, sampler.scheduler.grid.timesteps
    return [float(seen[p[0]] if p else grid[i]) for i, p in enumerate(sampler.profile.evaluations)]


def _where(result: Verification) -> str:
    text = result.divergence()
    return f": {text}" if text else ""


def failure(name: str, result: Verification) -> str:
    """Why the file called ``name`` is too far from eager."""
    limit = result.tolerance
    if limit is not None and max(result.errors) > limit:
        error = result.error if result.error > limit else max(result.errors)
        return (
            f"{name} differs from the eager sampler by {error:.1e} (relative to its largest value), more than "
            f"{limit:.0e}{_where(result)}"
        )
    return (
        f"{name} turns away from the eager sampler, to a cosine of {result.cosine:.4f}, less than "
        f"{result.least_cosine:g}{_where(result)}; keep_fp32 keeps parts of the network in float32"
    )


def _range_advice(precision: str) -> str:
    if precision == "fp16":
        return "; float16 ends at 65504: use precision=bf16, or keep_fp32 for what goes beyond"
    return "; please report it"


def _excuse(sampler: Sampler, inputs: dict[str, torch.Tensor], expected: np.ndarray, error: float) -> str:
    """Where the eager sampler itself magnifies rounding to about ``error``, say so: no graph could do better."""
    by = 1 + 2**-22
    hook = sampler.denoiser.network.register_forward_hook(
        lambda _module, _inputs, output: output * by if isinstance(output, torch.Tensor) else output
    )
    try:
        moved = run_eager(sampler, {k: v * by if k in (NOISE, INIT) else v for k, v in inputs.items()})
    finally:
        hook.remove()
    change = float(np.abs(moved - expected).max() / max(float(np.abs(expected).max()), 1e-30))
    if not change > error / 4:
        return ""
    return (
        f" (the eager sampler is ill-conditioned: it changes by {change:.1e} when its inputs and the model's outputs "
        "change by 2e-7; few steps from a large sigma do that, and clip_sample with an untrained model; take more "
        "steps, --set clip_sample=false, or --no-verify)"
    )
