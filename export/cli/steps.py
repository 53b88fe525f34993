"""The table of a verification: how far the graph is from eager after each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from samplegraph.export.verification.comparison import Verification

#: More steps than this are shown as that many ranges at most, each by its worst step.
_LINES = 12


def step_table(result: Verification, what: str = "graph") -> Table:
    """One line per step, or per range of steps, of ``what`` was compared."""
    from rich.table import Table

    table = Table("step", "t", "error", "cosine", *result.others, title=f"{what} against eager", title_justify="left")
    for first, last in ranges(len(result.errors)):
        span = slice(first, last + 1)
        table.add_row(
            _span(*("post" if result.timesteps[i] is None else f"{i + 1}" for i in (first, last))),
            _span(*(_timestep(result.timesteps[i]) for i in (first, last))),
            f"{max(result.errors[span]):.1e}",
            *(f"{min(run[span]):.7f}" for run in (result.cosines, *result.others.values())),
        )
    return table


def ranges(count: int) -> Iterator[tuple[int, int]]:
    """First and last of ``count`` steps, in ranges of equal length of which the last may be shorter."""
    size = -(-count // _LINES)
    for first in range(0, count, size):
        yield first, min(first + size, count) - 1


def _timestep(t: float | None) -> str:
    return "-" if t is None else f"{t:.4g}"


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} .. {last}"
