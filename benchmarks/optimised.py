"""Makes the files of ``benchmarks.offline``: the network alone, the plain graph, and its offline-optimised forms."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.export import save_network
from benchmarks.models import CASES
from samplegraph.export import compile
from samplegraph.export.offline.optimise import TARGETS, optimize

#: What is loaded in turn, by file name.
ROUTES = ("network", "plain", *(f"plain-{target}" for target in TARGETS))


def measure(model: str, steps: int, folder: str, threads: int) -> dict[str, Any]:
    """Wall seconds of optimising for each target, and bytes of the graphs and of the weights beside them."""
    torch.set_num_threads(threads)
    case, place = CASES[model], Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    sampler = case.sampler(steps)
    program = compile(sampler, (1, *case.shape), case.examples(), weights="external", name="plain")
    plain = program.save(place / "plain.onnx")
    seconds = {}
    for target in TARGETS:
        start = time.perf_counter()
        optimize(plain, target)
        seconds[target] = round(time.perf_counter() - start, 3)
    weights = {path.name: path.stat().st_size for path in place.glob("weights-*.bin")}
    save_network(sampler, case, place / "network.onnx")
    graphs = {route: (place / f"{route}.onnx").stat().st_size for route in ROUTES}
    return {"seconds": seconds, "bytes": graphs, "weights": weights}
