"""The graphs whose builds are measured: one network captured once, at each step count, in each layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samplegraph.runtime.manifest_layouts import chunk_suffix


def measure(model: str, steps: list[int], layouts: list[str], folder: str, threads: int) -> dict[str, Any]:
    """``graphs``: step count, layout, and of each file its path and number of nodes."""
    import torch

    from benchmarks.models import CASES
    from samplegraph.export import Captures, compile
    from samplegraph.export.sampling.layout import parse_layout

    torch.set_num_threads(threads)
    case, captures, made = CASES[model], Captures(), []
    for count in steps:
        sampler = case.sampler(count)
        for layout in layouts:
            if parse_layout(layout).size > count:
                continue
            program = compile(sampler, (1, *case.shape), case.examples(), layout=layout, captures=captures)
            first = program.save(Path(folder) / f"{program.manifest.name}.onnx")
            names = [first.name.replace(chunk_suffix(0), part.suffix) for part in program.parts]
            files = [
                {"path": str(first.with_name(name)), "nodes": len(part.model.graph)}
                for name, part in zip(names, program.parts, strict=True)
            ]
            weights = program.manifest.weights.bytes
            made.append({"steps": count, "layout": layout, "weight_bytes": weights, "files": files})
    return {"graphs": made}
