"""``python -m benchmarks``: measure, print the tables, and after a full run keep them in README.md.

A full run takes most of an hour. It may be made in parts, each with its selection and ``--output``, the last one
``--with`` the files of the others and ``--publish``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import machine, table
from benchmarks.isolate import ROOT, MeasurementError
from benchmarks.suite import PARTS, ROUTES, STEPS, Plan, Record, measurements

MODELS = ("unet", "dit", "digits")
RESULTS = ROOT / "benchmarks" / "results"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 2 and one line where a measurement fails."""
    options = _parser().parse_args(arguments)
    about = machine.describe(options.threads)
    folder = nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory()
    with folder as place:
        try:
            records = [*_earlier(options), *_measure(_plan(options, Path(place).absolute()), options.output)]
        except MeasurementError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 2
    about["load_after"] = machine.load()
    text = table.render(records, about)
    print(text, end="")
    data = json.dumps({"machine": about, "records": records}, indent=1) + "\n"
    if options.output:
        options.output.write_text(data, encoding="utf-8")
    if _is_full(options) or options.publish:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{machine.name()}.json").write_text(data, encoding="utf-8")
        table.write(ROOT / "README.md", text)
    return 0


def _earlier(options: Any) -> list[Record]:
    """The records of the runs that this one completes.

    Raises:
        MeasurementError: a file does not hold any.
    """
    records: list[Record] = []
    for path in options.earlier:
        try:
            records += json.loads(path.read_text(encoding="utf-8"))["records"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MeasurementError(f"--with {path}: holds no records ({error}); give what --output wrote") from error
    return records


def _measure(plan: Plan, output: Path | None) -> list[Record]:
    """All records, each written to ``output`` as soon as it is there; a bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    records: list[Record] = []
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=plan.count())

        def started(what: str) -> None:
            bar.update(task, description=what)
            bar.advance(task)

        for record in measurements(plan, started):
            records.append(record)
            if output:
                output.write_text(json.dumps({"records": records}, indent=1) + "\n", encoding="utf-8")
    return records


def _plan(options: Any, folder: Path) -> Plan:
    quick = options.quick
    steps = options.steps or ((2,) if quick else STEPS)
    return Plan(
        models=options.models or (("tiny",) if quick else MODELS),
        steps=tuple(sorted(steps)),
        parts=options.parts,
        routes=options.routes,
        curve=("unet",) if options.models is None or "unet" in options.models else options.models,
        folder=folder,
        threads=options.threads,
        loads=1 if quick else options.loads,
        seconds=0.0 if quick else options.seconds,
        limit=options.limit,
    )


def _is_full(options: Any) -> bool:
    """Whether everything was asked for, so that the result may replace the published one."""
    selected = options.models or options.steps or options.quick
    return not selected and options.parts == PARTS and options.routes == ROUTES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--models", type=_some((*MODELS, "tiny")), help=f"of {', '.join(MODELS)}, tiny; separated by commas")
    add("--steps", type=_steps, help=f"step counts, such as {','.join(map(str, STEPS))}")
    add("--parts", type=_some(PARTS), default=PARTS, help=f"of {', '.join(PARTS)}")
    add("--routes", type=_some(ROUTES), default=ROUTES, help=f"of {', '.join(ROUTES)}")
    add("--quick", action="store_true", help="everything once, on a tiny model at 2 steps")
    add("--threads", type=int, default=os.cpu_count(), help="threads of torch and of ONNX Runtime")
    add("--loads", type=int, default=5, help="session loads per file; the median is kept")
    add("--seconds", type=float, default=20.0, help="how long whole graph and host loop run in turn")
    add("--limit", type=float, default=1200.0, help="seconds after which a measurement is given up")
    add("--folder", type=Path, help="keep the graphs there; they are used again if compile is no part")
    add("--with", type=Path, action="append", default=[], dest="earlier", help="add the records of that --output")
    add("--publish", action="store_true", help="keep the tables in README.md though not everything was asked for")
    add("--output", type=Path, help="write the records there as JSON")
    return parser


def _some(allowed: tuple[str, ...]) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(part.strip() for part in text.split(",") if part.strip())
        for each in chosen:
            if each not in allowed:
                raise argparse.ArgumentTypeError(f"{each!r} is not one of {', '.join(allowed)}")
        return chosen

    return parse


def _steps(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} are not numbers of steps; write for example 1,25")
    return tuple(int(part) for part in parts)


if __name__ == "__main__":
    sys.exit(main())
