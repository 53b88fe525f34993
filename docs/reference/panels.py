"""Small multiples: a panel for each family, all on the same axes, with the curves named at their ends."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from docs.reference.figure import new_figure, save

Curves = Mapping[str, Mapping[int, float]]
#: Ten strong colours, then their lighter relatives.
COLOURS = [matplotlib.colormaps["tab20"](j) for j in (*range(0, 20, 2), *range(1, 20, 2))]
#: Letters in a line of a label, and the height of a line as part of a panel's.
_WIDTH, _LINE = 34, 0.047


@dataclass(frozen=True)
class Axes:
    """What all panels of a figure share. Values outside of ``limits`` are drawn at the edge; curves whose labels end in
    ``dashed`` are."""

    title: str
    values: str
    limits: tuple[float, float]
    budgets: Sequence[int]
    dashed: str = "-"


def draw(path: Path, panels: Mapping[str, Curves], shared: Axes) -> None:
    """Two panels in a row."""
    rows = math.ceil(len(panels) / 2)
    figure = new_figure(12.5, 3.3 * rows + 0.4)
    figure.suptitle(shared.title, fontsize=10)
    places = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).flatten()
    for axes in places[len(panels) :]:
        axes.axis("off")
    for axes, (family, curves) in zip(places, panels.items(), strict=False):
        _panel(axes, curves, shared)
        axes.set_title(family)
    save(figure, path)


def _panel(axes: Any, curves: Curves, shared: Axes) -> None:
    low, high = shared.limits
    kept = {label: {n: min(max(v, low), high) for n, v in curve.items()} for label, curve in curves.items()}
    order = sorted(kept, key=lambda label: -list(kept[label].values())[-1])
    for j, label in enumerate(order):
        curve = dict(sorted(kept[label].items()))
        style = "--" if label.endswith(shared.dashed) else "-"
        axes.plot(curve.keys(), curve.values(), style, color=COLOURS[j], marker="o", markersize=3)
    axes.set(xscale="log", yscale="log", ylim=shared.limits, xlim=(shared.budgets[0] * 0.9, shared.budgets[-1] * 1.1))
    axes.set_xticks(shared.budgets, [str(n) for n in shared.budgets])
    axes.minorticks_off()
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("NFE")
    axes.set_ylabel(shared.values)
    _name_ends(axes, [(label, kept[label]) for label in order])


def _name_ends(axes: Any, curves: Sequence[tuple[str, Mapping[int, float]]]) -> None:
    """Labels at the right, from the largest value down, moved apart where they overlap."""
    low, high = (math.log(y) for y in axes.get_ylim())
    texts = [textwrap.fill(label, _WIDTH, break_long_words=False) for label, _ in curves]
    heights = [_LINE * (text.count("\n") + 1) for text in texts]
    last = [max(curve) for _, curve in curves]
    places = [(math.log(curve[n]) - low) / (high - low) for (_, curve), n in zip(curves, last, strict=True)]
    for _ in range(2000):
        for j in range(len(places) - 1):
            overlap = max(0.0, (heights[j] + heights[j + 1]) / 2 - (places[j] - places[j + 1]))
            places[j], places[j + 1] = places[j] + overlap / 2, places[j + 1] - overlap / 2
        sunk = max(0.0, 0.02 - places[-1]) if places else 0.0
        places = [place + sunk for place in places]
    for j, ((_, curve), text, y) in enumerate(zip(curves, texts, places, strict=True)):
        axes.annotate(
            text,
            (last[j], curve[last[j]]),
            xytext=(1.05, y),
            textcoords="axes fraction",
            va="center",
            color=COLOURS[j],
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": COLOURS[j], "linewidth": 0.4, "relpos": (0, 0.5)},
            annotation_clip=False,
        )
