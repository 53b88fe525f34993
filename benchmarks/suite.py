"""What is measured, in which order, and what each measurement needs to have been made before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import isolate, machine

PARTS = ("compile", "load", "run", "guidance")
#: How a graph is made: by samplegraph, or by tracing the whole loop without and with the optimiser.
ROUTES = ("ours", "traced", "traced-optimised")
STEPS = (1, 5, 10, 25, 50, 100)
#: The number of steps of the main table.
MAIN = 25
#: Beyond this many steps a route is not measured: the exporter's optimiser is quadratic in the unrolled graph (13
#: minutes for 25 steps of the UNet), and ONNX Runtime takes quadratic time to load what it did not optimise (2 minutes
#: for 50 steps).
UP_TO = {"traced": 50, "traced-optimised": 25}
#: Models that the optimiser is asked for.
OPTIMISED = ("unet", "tiny")
Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A selection of measurements.

    Args:
        curve: models measured at every entry of ``steps``; the others at ``MAIN``, or the last of ``steps``.
        loads: fresh processes per session load, in turn over the routes.
        seconds: how long whole graph and host loop are run in turn.
        limit: seconds after which one measurement is given up.
    """

    models: tuple[str, ...]
    steps: tuple[int, ...]
    parts: tuple[str, ...]
    routes: tuple[str, ...]
    curve: tuple[str, ...]
    folder: Path
    threads: int
    loads: int = 5
    seconds: float = 20.0
    limit: float = 1200.0
    records: list[Record] = field(default_factory=list)

    def steps_of(self, model: str) -> tuple[int, ...]:
        """Step counts for one model."""
        if model in self.curve:
            return self.steps
        return (MAIN,) if MAIN in self.steps else self.steps[-1:]

    def main(self, model: str) -> int:
        """The step count at which guidance is compared."""
        steps = self.steps_of(model)
        return MAIN if MAIN in steps else steps[-1]

    def routes_of(self, model: str, steps: int) -> tuple[str, ...]:
        """Routes for one model and number of steps."""
        routes = (r for r in self.routes if r != "traced-optimised" or model in OPTIMISED)
        return tuple(r for r in routes if steps <= UP_TO.get(r, steps))

    def loaded(self, routes: Iterable[str], steps: int) -> list[str]:
        """Those of ``routes`` whose session loads are measured."""
        return [route for route in routes if route == "ours" or steps <= MAIN]

    def file(self, model: str, steps: int, route: str) -> Path:
        """Where a graph lies; each in a folder of its own."""
        return self.folder / f"{model}-{steps}-{route}" / "graph.onnx"

    def count(self) -> int:
        """How many measurements ``measurements`` makes."""
        total = 0
        for model in self.models:
            total += "guidance" in self.parts
            for steps in self.steps_of(model):
                routes = self.routes_of(model, steps)
                total += len(routes) + ("run" in self.parts)
                total += len(self.loaded(routes, steps)) * self.loads * ("load" in self.parts)
        return total


def measurements(plan: Plan, started: Callable[[str], None]) -> Iterator[Record]:
    """Measure, fewest steps first: a route that runs into the limit is not tried with more.

    Raises:
        MeasurementError: a measurement failed.
    """
    for model in plan.models:
        given_up: set[str] = set()
        for steps in sorted(plan.steps_of(model)):
            routes = [route for route in plan.routes_of(model, steps) if route not in given_up]
            routes = routes if {"compile", "load", "run"} & set(plan.parts) else []
            for route in routes:
                started(f"compile {model}, {steps} steps, {route}")
                record = _compile(plan, model, steps, route)
                if record.get("seconds") is None and "bytes" not in record:
                    given_up.add(route)
                if "compile" in plan.parts or route in given_up:
                    yield record
            routes = [route for route in routes if route not in given_up]
            if "load" in plan.parts:
                yield from _loads(plan, model, steps, plan.loaded(routes, steps), started)
            if "run" in plan.parts and "ours" in routes:
                started(f"run {model}, {steps} steps")
                path = str(plan.file(model, steps, "ours"))
                job = {"model": model, "steps": steps, "path": path, "seconds": plan.seconds}
                record = isolate.measure("run", plan.limit, plan.threads, **job) or {}
                head = {"part": "run", "model": model, "steps": steps}
                yield {**head, **record, "load_average": machine.load()}
            if "guidance" in plan.parts and steps == plan.main(model):
                started(f"guidance {model}, {steps} steps")
                job = {"model": model, "steps": steps, "seconds": plan.seconds}
                record = isolate.measure("guidance", plan.limit, plan.threads, **job) or {}
                head = {"part": "guidance", "model": model, "steps": steps}
                yield {**head, **record, "load_average": machine.load()}


def _compile(plan: Plan, model: str, steps: int, route: str) -> Record:
    """Make a graph; one that is there already is kept where compiling is not what is measured."""
    file = plan.file(model, steps, route)
    head = {"part": "compile", "model": model, "steps": steps, "route": route}
    if "compile" not in plan.parts and file.exists():
        return {**head, "bytes": file.stat().st_size}
    file.parent.mkdir(parents=True, exist_ok=True)
    job = {"model": model, "steps": steps, "route": route, "path": str(file)}
    record = isolate.measure("compile", plan.limit, plan.threads, **job)
    if record is None:
        return {**head, "seconds": None, "limit": plan.limit}
    return {**head, **record, "load_average": machine.load()}


def _loads(
    plan: Plan, model: str, steps: int, routes: list[str], started: Callable[[str], None]
) -> Iterator[Record]:
    """Session loads in turn: A B C, A B C, ...; the median is kept."""
    found: dict[str, list[Record]] = {route: [] for route in routes}
    for _ in range(plan.loads):
        for route in routes:
            started(f"load {model}, {steps} steps, {route}")
            record = isolate.measure(
                "load", plan.limit, plan.threads, path=str(plan.file(model, steps, route))
            )
            if record is not None:
                found[route].append(record)
    for route, records in found.items():
        if records:
            ordered = sorted(records, key=lambda r: float(r["seconds"]))
            middle = ordered[len(ordered) // 2]
            yield {
                "part": "load",
                "model": model,
                "steps": steps,
                "route": route,
                **middle,
                "loads": len(ordered),
                "load_average": machine.load(),
            }
