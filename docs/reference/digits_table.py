"""The digits that every scheduler draws, as tables: a row for each, a column for each budget, the value in the cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.reference.figure import new_figure, save
from docs.reference.rows import BUDGETS, column

#: NFE -> steps, part read as the digit asked for, variance over people's.
Found = Mapping[int, list[float]]


def draw(path: Path, families: Mapping[str, Mapping[str, Found]]) -> None:
    """The families below each other, under a line with their names; the two numbers side by side."""
    lines: list[tuple[str, Found]] = []
    for family, rows in families.items():
        lines += [(family, {}), *rows.items()]
    figure = new_figure(11.0, 0.9 + 0.235 * len(lines))
    left, right = figure.subplots(1, 2, sharey=True)
    _table(left, lines, 1, "read as the digit asked for", "RdYlGn", 1.0)
    _table(right, lines, 2, "variance within a digit / people's", "PuOr", 2.0)
    left.set_yticks(range(len(lines)), [label for label, _ in lines])
    for tick, (label, _) in zip(left.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("bold" if label in families else "normal")
    save(figure, path)


def _table(axes: Any, lines: list[tuple[str, Found]], which: int, title: str, colours: str, top: float) -> None:
    cells = [[float("nan")] * len(BUDGETS) for _ in lines]
    for i, (_, found) in enumerate(lines):
        for nfe, values in found.items():
            j, value = BUDGETS.index(column(nfe)), values[which]
            cells[i][j] = value
            text = f"{100 * value:.0f} %" if which == 1 else f"{value:.2f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=7.5)
    axes.imshow(cells, cmap=colours, vmin=0.0, vmax=top, aspect="auto", alpha=0.75)
    axes.set_xticks(range(len(BUDGETS)), [str(budget) for budget in BUDGETS])
    axes.tick_params(length=0)
    axes.set_xlabel("NFE, at most")
    axes.set_title(title)
    axes.grid(False)
