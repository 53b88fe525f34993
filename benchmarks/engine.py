"""What an engine takes to build, by steps and layout: ``python -m benchmarks.engine`` builds for sm89 without a GPU.

Each engine is built by TensorRT-RTX in a process of its own. A set of chunks counts as the sum of its engines, and the
largest peak of memory. ``--publish`` keeps the records in ``results/engine.json`` and the table in docs/engines.md; it
takes about 8 minutes of an idle core. The bars of ``engine_bars`` are printed last.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.engine_bars import bars
from benchmarks.engine_table import fill, rows
from benchmarks.isolate import ROOT, MeasurementError, measure

MODELS = ("digits", "dit", "unet")
#: Step counts by layout. An engine of one evaluation serves any number of steps.
ROWS = {"unrolled": (1, 2, 5, 10, 25), "chunked:5": (25,), "repeated:5": (5, 25), "step": (5,), "loop": (5,)}
RESULTS = ROOT / "benchmarks" / "results" / "engine.json"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 2 and one line where a measurement fails."""
    options = _parser().parse_args(arguments)
    about = {**machine.describe(1), "target": "sm89", "tensorrt-rtx": version("tensorrt-rtx")}
    records: list[dict[str, Any]] = []
    if options.earlier:
        records = json.loads(options.earlier.read_text(encoding="utf-8"))["records"]
    folder = nullcontext(str(options.folder)) if options.folder else tempfile.TemporaryDirectory()
    with folder as place:
        try:
            for model in options.models:
                wanted = [(n, layout) for layout in options.layouts for n in options.steps or ROWS.get(layout, (25,))]
                job = {"model": model, "rows": wanted, "folder": str(Path(place).absolute())}
                made = measure("engine_graph", options.limit, os.cpu_count() or 1, **job)
                assert made is not None
                for graph in made["graphs"]:
                    record = {"model": model, **_built(graph, options.limit)}
                    same = [r for r in records if all(r[k] == record[k] for k in ("model", "steps", "layout"))]
                    records = sorted([*(r for r in records if r not in same), record], key=_place)
                    if options.output:
                        _write(options.output, about, records)
                    print("\n".join(rows([record])), flush=True)
        except MeasurementError as error:
            print(f"benchmarks.engine: {error}", file=sys.stderr)
            return 2
    for bar in bars(records):
        print(bar)
    if options.publish:
        _write(RESULTS, about, records)
        fill(ROOT / "docs" / "engines.md", records, about)
    return 0


def _place(record: dict[str, Any]) -> tuple[int, int, int]:
    """Where it stands in the table."""
    known = [*ROWS, record["layout"]]
    return [*MODELS, record["model"]].index(record["model"]), known.index(record["layout"]), record["steps"]


def _write(path: Path, about: dict[str, Any], records: list[dict[str, Any]]) -> None:
    made = {"machine": about, "records": records, "bars": [asdict(bar) | {"met": bar.met} for bar in bars(records)]}
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def _built(graph: dict[str, Any], limit: float) -> dict[str, Any]:
    """The record of a graph or a set of them; without figures where one took longer than ``limit`` seconds."""
    head = {k: graph[k] for k in ("steps", "layout", "weight_bytes")}
    head |= {"engines": len(graph["files"]), "nodes": sum(file["nodes"] for file in graph["files"])}
    found = []
    for file in graph["files"]:
        record = measure("engine_build", limit, 1, path=file["path"])
        if record is None:
            return {**head, "limit": limit}
        found.append(record)
    summed = {k: sum(r[k] for r in found) for k in ("parse_seconds", "seconds", "cpu_seconds", "layers", "bytes")}
    longest = max(found, key=lambda r: float(r["cpu_seconds"]))
    return {**head, **summed, "peak_mb": max(r["peak_mb"] for r in found), "phases": longest["phases"]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    add = parser.add_argument
    add("--models", nargs="+", choices=(*MODELS, "tiny"), default=MODELS, help=f"of {', '.join(MODELS)}, tiny")
    add("--steps", nargs="+", type=int, help="step counts; by default those of each layout that the table has")
    add("--layouts", nargs="+", default=ROWS, help=f"such as {' '.join(ROWS)}; K above the steps is left out")
    add("--limit", type=float, default=1800.0, help="seconds after which a build is given up")
    add("--folder", type=Path, help="keep the graphs there")
    add("--with", type=Path, dest="earlier", help="add to the records of that --output")
    add("--output", type=Path, help="write the records there as JSON, as soon as each is there")
    add("--publish", action="store_true", help="keep records and table in the repository")
    return parser


if __name__ == "__main__":
    sys.exit(main())
