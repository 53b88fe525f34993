"""One engine for sm89 by TensorRT-RTX, which needs no GPU: parsed, built, and what the builder spends its time on."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import Any


def measure(path: str, threads: int, target: str = "sm89") -> dict[str, Any]:
    """Wall and CPU seconds, bytes of the plan, layers of the network, and CPU seconds by the builder's own phases.

    A phase's seconds are those up to each step of it since the step before, of whatever phase.
    """
    import tensorrt_rtx as trt

    from samplegraph.export.engine import BUILDERS, BuildSettings, plan_engines
    from samplegraph.export.engine.files import engine_of
    from samplegraph.runtime.gpu.tensorrt_library import error_log

    log, _ = error_log(trt)
    start = time.perf_counter()
    network = trt.Builder(log).create_network(0)
    trt.OnnxParser(network, log).parse_from_file(path)
    parsed, layers = time.perf_counter() - start, network.num_layers
    del network

    phases: dict[str, float] = defaultdict(float)
    last = time.process_time()

    def listen(phase: str, done: int, total: int) -> None:
        nonlocal last
        now = time.process_time()
        phases[phase] += now - last
        last = now

    kind = BUILDERS["tensorrt-rtx"]
    (plan, *_) = [p for p in plan_engines(Path(path), kind, [target], BuildSettings()) if p.graph == Path(path)]
    wall, begun = time.perf_counter(), time.process_time()
    made, _ = engine_of(plan, listen)
    cpu = time.process_time() - begun
    return {
        "parse_seconds": round(parsed, 3),
        "seconds": round(time.perf_counter() - wall, 3),
        "cpu_seconds": round(cpu, 3),
        "layers": layers,
        "bytes": made.nbytes,
        "phases": {name: round(value, 2) for name, value in sorted(phases.items(), key=lambda item: -item[1])},
    }
