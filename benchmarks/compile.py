"""Compile + save: ours, and tracing the whole loop with ``torch.onnx.export(dynamo=True)``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import onnx
import torch

from benchmarks.export import trace_loop
from benchmarks.models import CASES
from samplegraph.export import compile


def measure(model: str, steps: int, route: str, path: str, threads: int) -> dict[str, Any]:
    """Wall seconds from sampler to saved file, and what the file is. Imports are not counted."""
    torch.set_num_threads(threads)
    case, file = CASES[model], Path(path)
    sampler = case.sampler(steps)
    start = time.perf_counter()
    if route == "ours":
        program = compile(sampler, (1, *case.shape), case.examples())
        program.save(file)
        phases = program.phases.seconds
    else:
        trace_loop(sampler, case, file, optimise=route == "traced-optimised")
        phases = {}
    seconds = time.perf_counter() - start
    graph = onnx.load(file, load_external_data=False).graph
    weights = sum(p.numel() * p.element_size() for p in sampler.denoiser.network.parameters())
    external = {e.value for t in graph.initializer for e in t.external_data if e.key == "location"}
    size = file.stat().st_size + sum((file.parent / name).stat().st_size for name in external)
    return {
        "seconds": round(seconds, 3),
        "phases": {name: round(value, 3) for name, value in phases.items()},
        "nodes": len(graph.node),
        "bytes": size,
        "weight_bytes": weights,
    }
