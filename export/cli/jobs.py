"""Several graphs in one command: ``--scheduler ddim,euler --steps 4,10`` is four of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samplegraph.export.cli.values import whole_number
from samplegraph.runtime import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from samplegraph.export.program import Program
    from samplegraph.models import Sampler


@dataclass(frozen=True)
class Job:
    """One graph: a scheduler by name, or that of a config, and its number of steps where one is given."""

    scheduler: str | None
    steps: int | None


def jobs(scheduler: str | None, steps: str | None, name: str | None) -> list[Job]:
    """All combinations of what the command line lists, schedulers first.

    Raises:
        InputError: one is given twice, steps are no whole numbers, or a name is given to several graphs.
    """
    schedulers = _each("scheduler", scheduler)
    counts = [whole_number("steps", text) if text is not None else None for text in _each("steps", steps)]
    found = [Job(each, count) for each in schedulers for count in counts]
    if len(found) > 1 and name is not None:
        raise InputError(f"name={name!r} is for one graph, and {len(found)} are asked for; leave it out")
    return found


def by_scheduler(samplers: Sequence[Sampler]) -> list[list[Sampler]]:
    """Samplers that differ in their number of steps only, together: one graph of a single evaluation runs them all."""
    found: dict[str, list[Sampler]] = {}
    for sampler in samplers:
        found.setdefault(sampler.scheduler.name, []).append(sampler)
    return list(found.values())


def _each(option: str, text: str | None) -> list[str | None]:
    if text is None:
        return [None]
    parts: list[str | None] = [part.strip() for part in text.split(",")]
    for part in parts:
        if parts.count(part) > 1:
            raise InputError(f"{option}={text} names {part} twice; give each once")
    return parts


def table(made: list[tuple[Program, Path]]) -> Table:
    """One row per graph."""
    from rich.table import Table

    found = Table(title=f"{len(made)} graphs in {made[0][1].parent}", title_justify="left")
    found.add_column("file")
    for column in ("NFE", "nodes", "MB", "max error", "seconds"):
        found.add_column(column, justify="right")
    for program, path in made:
        report = program.report()
        error = "not verified" if report.error is None else f"{report.error:.1e}"
        size, seconds = f"{path.stat().st_size / 1e6:.2f}", f"{sum(report.seconds.values()):.1f}"
        found.add_row(path.name, str(report.nfe), f"{report.nodes:,}", size, error, seconds)
    return found
