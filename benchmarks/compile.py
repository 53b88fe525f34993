"""Compile + save: ours, and tracing the whole loop with ``torch.onnx.export(dynamo=True)``."""

from __future__ import annotations

import logging
import time
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from benchmarks.models import CASES, Case
from samplegraph.export import compile
from samplegraph.export.builder import OPSET
from samplegraph.export.signature import Signature, signature
from samplegraph.models import Sampler


def measure(model: str, steps: int, route: str, path: str, threads: int) -> dict[str, Any]:
    """Wall seconds from sampler to saved file, and what the file is. Imports are not counted, for any route."""
    torch.set_num_threads(threads)
    case, file = CASES[model], Path(path)
    sampler = case.sampler(steps)
    start = time.perf_counter()
    if route == "ours":
        program = compile(sampler, (1, *case.shape), case.examples())
        program.save(file)
        phases = program.phases.seconds
    else:
        _trace(sampler, case, file, optimise=route == "traced-optimised")
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


class _Flat(nn.Module):
    """The sampler with positional inputs."""

    def __init__(self, sampler: Sampler, names: list[str]) -> None:
        super().__init__()
        self.sampler, self.names = sampler, names

    def forward(self, *tensors: Tensor) -> Tensor:
        given = dict(zip(self.names, tensors, strict=True))
        return cast(Tensor, self.sampler(given.pop("noise"), given.pop("step_noise", None), **given))


def _trace(sampler: Sampler, case: Case, file: Path, *, optimise: bool) -> None:
    sig: Signature = signature(sampler, (1, *case.shape), case.examples(), None)
    examples = tuple(
        torch.from_numpy(np.array(case.conditions[t.name]))
        if t.name in case.conditions
        else torch.ones([int(n) for n in t.shape], dtype=getattr(torch, t.dtype))
        for t in sig.inputs
    )
    for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Flat(sampler, sig.names),
            examples,
            dynamo=True,
            input_names=sig.names,
            output_names=["sample"],
            opset_version=OPSET,
            optimize=optimise,
            verbose=False,
        )
        assert program is not None
        program.save(file)
