"""Guidance in an interval against guidance everywhere: two graphs of one sampler, run in turn."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.models import CASES
from benchmarks.run import Bound, turns_of, whole_graph
from samplegraph.export import Captures, compile

#: The middle half of the steps.
INTERVAL = "steps:0.25,0.75"


def measure(model: str, steps: int, threads: int, seconds: float) -> dict[str, Any]:
    """Median wall milliseconds of both, A B A B ..., for ``seconds`` but at least 5 turns; what compiling took.

    The second graph is compiled with the captures of the first, which are of both branches' rows: its seconds hold
    the capture of one branch's.
    """
    torch.set_num_threads(threads)
    case, captures = CASES[model], Captures()
    noise = np.random.default_rng(0).standard_normal((1, *case.shape)).astype(np.float32)
    calls: dict[str, Bound] = {}
    record: dict[str, Any] = {"interval": INTERVAL}
    with tempfile.TemporaryDirectory() as folder:
        for name, interval in (("full", None), ("interval", INTERVAL)):
            sampler = case.sampler(steps, interval)
            program = compile(sampler, (1, *case.shape), case.examples(), captures=captures)
            path = program.save(Path(folder) / f"{name}.onnx")
            calls[name] = whole_graph(str(path), noise, case.conditions, threads)
            scales = program.manifest.guidance.scales
            record[f"{name}_guided"] = scales.count(None) or sampler.profile.nfe
            record[f"{name}_compile_seconds"] = round(sum(program.phases.seconds.values()), 3)
    for call in calls.values():
        call()
    turns = turns_of(list(calls.values()), seconds)
    full, inside = np.median(turns, axis=1) * 1e3
    record |= {"full_ms": round(float(full), 3), "interval_ms": round(float(inside), 3)}
    return {**record, "speedup": round(float(full / inside), 4), "turns": turns.shape[1]}
