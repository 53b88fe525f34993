"""``python -m benchmarks.offline``: graphs optimised offline against a session over the network alone, as JSON.

Loads are of fresh processes in turn, A B C, A B C, ...; runs are against a host loop in turn within one process.
``sd15`` takes about 11 GB of disk, and is not run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from statistics import median

from benchmarks import isolate, machine
from benchmarks.optimised import ROUTES
from benchmarks.suite import Record

#: Steps by model, and whether it is run too.
MODELS = {"sd15": (25, False), "unet142m": (10, True), "tiny": (2, True)}


def main(arguments: list[str] | None = None) -> int:
    """Exit status 2 and one line where a measurement fails."""
    options = _parser().parse_args(arguments)
    about = machine.describe(options.threads)
    records: list[Record] = []
    folder = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory()
    with folder as place:
        try:
            for model in options.models.split(","):
                records += _measure(model, Path(place).absolute() / model, options)
        except isolate.MeasurementError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 2
    about["load_after"] = machine.load()
    text = json.dumps({"machine": about, "records": records}, indent=1) + "\n"
    print(text, end="")
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


def _measure(model: str, folder: Path, options: argparse.Namespace) -> Iterator[Record]:
    steps, runs = MODELS[model]
    head: Record = {"model": model, "steps": steps}
    limit, threads = options.limit, options.threads
    if not (folder / "network.onnx").exists():
        made = isolate.measure("optimised", limit, threads, model=model, steps=steps, folder=str(folder))
        yield {"part": "optimise", **head, **_present(made, "optimise", limit)}
    yield {"part": "load", **head, **_loads(folder, options)}
    if runs:
        for route in ("plain", "plain-cpu"):
            job = {"model": model, "steps": steps, "path": str(folder / f"{route}.onnx"), "seconds": options.seconds}
            found = isolate.measure("run", limit, threads, **job)
            yield {"part": "run", "route": route, **head, **_present(found, "run", limit)}


def _loads(folder: Path, options: argparse.Namespace) -> Record:
    """Median seconds and peak megabytes by route, and the ratio to the network alone of the same turn."""
    turns: dict[str, list[Record]] = {route: [] for route in ROUTES}
    for _ in range(options.loads):
        for route in ROUTES:
            found = isolate.measure("load", options.limit, options.threads, path=str(folder / f"{route}.onnx"))
            turns[route].append(_present(found, "load", options.limit))
    record: Record = {"loads": options.loads}
    for key, name in (("seconds", "ratio"), ("peak_mb", "memory_ratio")):
        alone = [float(each[key]) for each in turns["network"]]
        record[key] = {route: median(float(each[key]) for each in found) for route, found in turns.items()}
        record[name] = {
            route: round(median(float(e[key]) / a for e, a in zip(found, alone, strict=True)), 4)
            for route, found in turns.items()
        }
    return record


def _present(record: Record | None, part: str, limit: float) -> Record:
    if record is None:
        raise isolate.MeasurementError(f"{part} took more than {limit:g} s; raise --limit")
    return record


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offline", description=__doc__)
    add = parser.add_argument
    add("--models", type=_models, default="sd15,unet142m", help=f"of {', '.join(MODELS)}; separated by commas")
    add("--threads", type=int, default=os.cpu_count(), help="threads of torch and of ONNX Runtime")
    add("--loads", type=int, default=5, help="session loads per file, in turn; medians are kept")
    add("--seconds", type=float, default=60.0, help="how long whole graph and host loop run in turn")
    add("--limit", type=float, default=1800.0, help="seconds after which a measurement is given up")
    add("--folder", type=Path, help="keep the graphs there; they are used again")
    add("--output", type=Path, help="write the JSON there too")
    return parser


def _models(text: str) -> str:
    for each in text.split(","):
        if each not in MODELS:
            raise argparse.ArgumentTypeError(f"{each!r} is not one of {', '.join(MODELS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
