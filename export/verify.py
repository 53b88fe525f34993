"""Runs a compiled graph in ONNX Runtime against the eager sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from samplegraph.export.errors import ExportError, VerificationError
from samplegraph.export.signature import Signature
from samplegraph.models import Sampler
from samplegraph.models.guidance import NEGATIVE, SCALE

#: Largest allowed ``max |graph - eager| / max |eager|``.
TOLERANCE = 1e-5
#: Guidance scale that is tried where the default would leave the unconditional branch without effect.
_SCALE = 3.0


@dataclass(frozen=True)
class Verification:
    """The outcome: ``max |graph - eager| / max |eager|`` of the final sample, over ``rows`` samples."""

    error: float
    tolerance: float
    rows: int


def verify(
    path: Path, sampler: Sampler, sig: Signature, *, seed: int = 0, tolerance: float = TOLERANCE
) -> Verification:
    """Compare the graph at ``path`` with ``sampler`` on noise drawn from ``seed``.

    Raises:
        VerificationError: the error exceeds ``tolerance``, or either result is not finite.
        ExportError: ONNX Runtime is not installed or refuses the graph.
    """
    inputs = example_inputs(sampler, sig, seed)
    expected = run_eager(sampler, inputs)
    found = run_graph(path, inputs)
    if not np.isfinite(expected).all():
        raise VerificationError("the eager sampler gives NaN or infinity on unit noise; check the model's weights")
    if not np.isfinite(found).all():
        raise VerificationError(f"{path.name} gives NaN or infinity where the eager sampler does not; please report it")
    error = float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-30))
    if error > tolerance:
        raise VerificationError(
            f"{path.name} differs from the eager sampler by {error:.1e} (relative to its largest value), more than "
            f"{tolerance:.0e}{_excuse(sampler, inputs, expected, error)}; nothing was kept"
        )
    return Verification(error, tolerance, len(expected))


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


def example_inputs(sampler: Sampler, sig: Signature, seed: int) -> dict[str, torch.Tensor]:
    """One value per graph input: unit noise, the example conditions, and a guidance scale that matters."""
    generator = torch.Generator("cpu").manual_seed(seed)
    values: dict[str, torch.Tensor] = {}
    for t in sig.inputs:
        if t.role in ("noise", "step_noise"):
            shape = [sig.example_batch if isinstance(n, str) else n for n in t.shape]
            draw = torch.rand if sampler.scheduler.noise_kind == "uniform" else torch.randn
            values[t.name] = draw(shape, generator=generator)
        elif t.role in ("image", "mask"):
            shape = [sig.example_batch if isinstance(n, str) else n for n in t.shape]
            values[t.name] = torch.rand(shape, generator=generator).round() * (2 if t.role == "image" else 1)
            values[t.name] -= 1 if t.role == "image" else 0
        elif t.role == "guidance_scale":
            scale = sampler.spec.guidance_scale
            values[SCALE] = torch.tensor(scale if scale != 1 else _SCALE)
        elif t.role == "negative":
            values[t.name] = torch.zeros_like(sig.conditions[t.name.removeprefix(NEGATIVE)])
        else:
            values[t.name] = sig.conditions[t.name]
    return values


def run_eager(sampler: Sampler, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """The reference result."""
    given = dict(inputs)
    noise, step_noise = given.pop("noise"), given.pop("step_noise", None)
    was_training = [m for m in sampler.modules() if m.training]
    sampler.eval()
    try:
        with torch.no_grad():
            sample: torch.Tensor = sampler(noise, step_noise, **given)
    finally:
        for module in was_training:
            module.training = True
    return sample.numpy()


def run_graph(path: Path, inputs: dict[str, torch.Tensor], outputs: Sequence[str] = ("sample",)) -> np.ndarray:
    """The graph's result in ONNX Runtime on the CPU."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise ExportError("verification needs ONNX Runtime; install samplegraph[cpu] or pass --no-verify") from error
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        result: list[np.ndarray] = session.run(list(outputs), {k: v.numpy() for k, v in inputs.items()})
    except Exception as error:
        raise ExportError(f"ONNX Runtime refuses {path.name}: {str(error).splitlines()[0]}") from error
    return result[0]
