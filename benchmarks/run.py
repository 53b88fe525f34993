"""Run: the whole graph against host loops of one call per step, in turn.

Two host loops: over the network as ``torch.onnx.export`` exports it, which is what one has without the
compiler, and over the compiler's own capture of it, which has its rewrites but not its partial evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch

from benchmarks.export import export_network
from benchmarks.load import session
from benchmarks.models import CASES, Case
from samplegraph.export.denoiser.capture import Captures
from samplegraph.export.signature import signature
from samplegraph.models import Sampler
from samplegraph.schedulers.plans.plan import plan

Array = npt.NDArray[Any]
#: Largest difference between the two, relative to the largest value.
TOLERANCE = 1e-5
#: Rest between turns, so that one session's threads no longer spin while the other runs.
_REST = 0.02
SCALE = 2.0


def measure(model: str, steps: int, path: str, threads: int, seconds: float) -> dict[str, Any]:
    """Median wall milliseconds of all three, A B C A B C ..., for ``seconds`` but at least 5 turns.

    Raises:
        ArithmeticError: they give different samples.
    """
    torch.set_num_threads(threads)
    case = CASES[model]
    sampler = case.sampler(steps)
    noise = np.random.default_rng(0).standard_normal((1, *case.shape)).astype(np.float32)
    whole = whole_graph(path, noise, case.conditions, threads)
    calls = {"whole": whole}
    for name, graph in (("host", export_network), ("host_captured", captured)):
        calls[name] = partial(HostLoop(sampler, case, graph(sampler, case), threads), noise)
    error = _check(f"{model}, {steps} steps", calls)
    times = turns_of(list(calls.values()), seconds) * 1e3
    record: dict[str, Any] = {f"{name}_ms": _median(each) for name, each in zip(calls, times, strict=True)}
    for k, name in ((1, "ratio"), (2, "ratio_captured")):
        record[name] = round(float(np.median(times[0]) / np.median(times[k])), 4)
        quartiles = np.quantile(times[0] / times[k], [0.25, 0.75])
        record[f"{name}_quartiles"] = [round(float(q), 4) for q in quartiles]
    return {**record, "turns": times.shape[1], "error": error}


def turns_of(calls: Sequence[Callable[[], Array]], seconds: float) -> npt.NDArray[np.float64]:
    """Seconds of each call, A B C A B C ..., as (calls, turns): for that long, but at least 5 turns."""
    turns: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(turns) < 5 or time.perf_counter() < end:
        turns.append([_seconds(call) for call in calls])
    return np.array(turns).T


def captured(sampler: Sampler, case: Case) -> bytes:
    """The network as the compiler captures it."""
    model = Captures().get(sampler.denoiser, signature(sampler, (1, *case.shape), case.examples(), None))
    data: bytes = ir.to_proto(model).SerializeToString()
    return data


def whole_graph(path: str, noise: Array, conditions: Mapping[str, Array], threads: int) -> Bound:
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
    """What a careful host does: one session over the network, guidance as a batch of two, DDIM in numpy.

    A step is two coefficients, made beforehand; every array is allocated once, and the session reads and
    writes them in place.
    """

    def __init__(self, sampler: Sampler, case: Case, graph: bytes, threads: int) -> None:
        self.call = Bound(session(graph, threads))
        for name, value in case.examples().items():
            declared = sampler.spec.condition(name)
            null = declared.null if declared else None
            other = np.full_like(value, null) if null is not None else case.conditions[f"negative_{name}"]
            self.call.inputs[name][...] = np.concatenate([other, value])
        table = plan(sampler.scheduler, sampler.denoiser.prediction_type)
        x, output = table.basis.index("x"), table.basis.index("output_0")
        self.rows = [(np.float32(step.x[x]), np.float32(step.x[output])) for step in table.steps]
        self.timesteps = [sampler.denoiser.timesteps[step.evaluations[0].point] for step in table.steps]
        self.first = np.float32(table.init_noise_sigma)
        self.x = np.empty((1, *case.shape), dtype=np.float32)
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


def _check(what: str, calls: Mapping[str, Callable[[], Array]]) -> float:
    """The largest relative difference of the whole graph from a host loop; the first calls also warm up."""
    found = [call().copy() for call in calls.values()]
    error = max(float(np.abs(found[0] - other).max() / np.abs(other).max()) for other in found[1:])
    if not error <= TOLERANCE:
        raise ArithmeticError(f"{what}: the whole graph differs from a host loop by {error:.1e}")
    return error


def _median(times: npt.NDArray[np.float64]) -> float:
    return round(float(np.median(times)), 3)


def _seconds(call: Callable[[], Array]) -> float:
    time.sleep(_REST)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
