"""Run: the whole graph against a host loop of one call per step, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from benchmarks.load import session
from benchmarks.models import CASES
from samplegraph.export.capture import Captures
from samplegraph.export.signature import signature
from samplegraph.models import Sampler
from samplegraph.schedulers.plan import plan

Array = npt.NDArray[Any]
#: Largest difference between the two, relative to the largest value.
TOLERANCE = 1e-5
#: Rest between turns, so that one session's threads no longer spin while the other runs.
_REST = 0.02
SCALE = 2.0


def measure(model: str, steps: int, path: str, threads: int, seconds: float) -> dict[str, Any]:
    """Median wall milliseconds of both, A B A B ..., for ``seconds`` but at least 5 turns.

    Raises:
        ArithmeticError: the two give different samples.
    """
    case = CASES[model]
    sampler = case.sampler(steps)
    noise = np.random.default_rng(0).standard_normal((1, *case.shape)).astype(np.float32)
    whole = whole_graph(path, noise, case.conditions, threads)
    host = HostLoop(sampler, case.shape, case.conditions, threads)
    expected, found = host(noise).copy(), whole().copy()
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not error <= TOLERANCE:
        raise ArithmeticError(f"{model}, {steps} steps: the whole graph differs from the host loop by {error:.1e}")
    turns: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(turns) < 5 or time.perf_counter() < end:
        turns.append((_seconds(whole), _seconds(lambda: host(noise))))
    a, b = np.array(turns).T * 1e3
    low, high = np.quantile(a / b, [0.25, 0.75])
    return {
        "whole_ms": round(float(np.median(a)), 3),
        "host_ms": round(float(np.median(b)), 3),
        "ratio": round(float(np.median(a) / np.median(b)), 4),
        "quartiles": [round(float(low), 4), round(float(high), 4)],
        "turns": len(turns),
        "error": error,
    }


def whole_graph(path: str, noise: Array, conditions: Mapping[str, Array], threads: int) -> Callable[[], Array]:
    """One call of the compiled graph with bound buffers."""
    call = Bound(session(path, threads))
    call.inputs["noise"][...] = noise
    for name, value in {**conditions, "guidance_scale": np.float32(SCALE)}.items():
        if name in call.inputs:
            call.inputs[name][...] = value
    return call


class Bound:
    """A session whose inputs and output are numpy arrays that it reads and writes in place: no copies."""

    def __init__(self, made: Any) -> None:
        self.session, self.binding = made, made.io_binding()
        self.inputs: dict[str, Array] = {}
        kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        for each in made.get_inputs():
            array = self.inputs[each.name] = np.zeros(each.shape, dtype=kinds[each.type])
            self.binding.bind_input(each.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        each = made.get_outputs()[0]
        out = self.output = np.empty(each.shape, dtype=np.float32)
        self.binding.bind_output(each.name, "cpu", 0, np.float32, out.shape, out.ctypes.data)

    def __call__(self) -> Array:
        self.session.run_with_iobinding(self.binding)
        return self.output


class HostLoop:
    """What a careful host does: one session over the single denoiser, guidance as a batch of two, DDIM in numpy.

    The denoiser is the compiler's own capture, optimised; a step is two coefficients, made beforehand; every array is
    allocated once, and the session reads and writes them in place.
    """

    def __init__(self, sampler: Sampler, shape: tuple[int, ...], conditions: Mapping[str, Array], threads: int) -> None:
        own = {n: v for n, v in conditions.items() if not n.startswith("negative_")}
        sig = signature(sampler, (1, *shape), own, None)
        model = Captures().get(sampler.denoiser, sig)
        self.call = Bound(session(ir.to_proto(model).SerializeToString(), threads))
        for name, value in own.items():
            declared = sampler.spec.condition(name)
            null = declared.null if declared else None
            other = np.full_like(value, null) if null is not None else conditions[f"negative_{name}"]
            self.call.inputs[name][...] = np.concatenate([other, value])
        table = plan(sampler.scheduler, sampler.denoiser.prediction_type)
        x, output = table.basis.index("x"), table.basis.index("output_0")
        self.rows = [(np.float32(step.x[x]), np.float32(step.x[output])) for step in table.steps]
        self.timesteps = [sampler.denoiser.timesteps[step.evaluations[0].point] for step in table.steps]
        self.first = np.float32(table.init_noise_sigma)
        self.x = np.empty((1, *shape), dtype=np.float32)
        self.eps = np.empty_like(self.x)

    def __call__(self, noise: Array) -> Array:
        call, x, eps = self.call, self.x, self.eps
        seen, timestep, (uncond, cond) = call.inputs["sample"], call.inputs["timestep"], call.output
        np.multiply(noise, self.first, out=x)
        for t, (keep, turn) in zip(self.timesteps, self.rows, strict=True):
            seen[...] = x
            timestep[...] = t
            call()
            np.subtract(cond, uncond, out=eps[0])
            eps *= np.float32(SCALE)
            eps += uncond
            eps *= turn
            x *= keep
            x += eps
        return x


def _seconds(call: Callable[[], Array]) -> float:
    time.sleep(_REST)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
