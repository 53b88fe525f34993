"""The graphs whose builds are measured: one network captured once, in each layout and step count that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samplegraph.runtime.manifest_layouts import chunk_suffix


def measure(model: str, rows: list[tuple[int, str]], folder: str, threads: int) -> dict[str, Any]:
    """``graphs``: step count, layout, and of each file its path and number of nodes.

    Args:
        rows: step counts and layouts.
    """
    import torch

    from benchmarks.models import CASES
    from samplegraph.export import Captures, compile
    from samplegraph.export.sampling.layout import parse_layout

    torch.set_num_threads(threads)
    case, captures, made = CASES[model], Captures(), []
    for count, layout in rows:
        if parse_layout(layout).size > count:
            continue
        program = compile(case.sampler(count), (1, *case.shape), case.examples(), layout=layout, captures=captures)
        first = program.save(Path(folder) / f"{program.manifest.name}.onnx")
        names = [first.name.replace(chunk_suffix(0), part.suffix) for part in program.parts]
        files = [
            {"path": str(first.with_name(name)), "nodes": len(part.model.graph)}
            for name, part in zip(names, program.parts, strict=True)
        ]
        weights = program.manifest.weights.bytes
        made.append({"steps": count, "layout": layout, "weight_bytes": weights, "files": files})
    return {"graphs": made}
