"""Where the schedulers step: noise-to-signal ratio against the step, family by family and for every respacing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from docs.reference.figure import new_figure, save
from docs.reference.panels import COLOURS
from docs.reference.rows import APART, TOKENS, Row
from samplegraph.schedulers import OptionError, create, names
from samplegraph.schedulers.grids.community_grids import GRIDS
from samplegraph.schedulers.grids.options import RESPACED
from samplegraph.schedulers.grids.spacing import SPACINGS

Curves = Mapping[str, np.ndarray]

STEPS = 25
#: What is smaller or larger is drawn at the edge.
LIMITS = (1e-3, 2e3)
#: Letters in a line of the legend.
_WIDTH = 44


def default_grids() -> dict[str, dict[str, np.ndarray]]:
    """Family -> the schedulers that share them -> sigmas at 25 steps; not those of tokens, which have none."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for row in (Row(name) for name in names() if name not in APART):
        with suppress(OptionError):  # one that cannot do 25 steps, or needs options
            if row.family != TOKENS:
                found.setdefault(row.family, {})[row.name] = row.create(STEPS).sigmas
    return {family: _grouped(curves) for family, curves in found.items()}


def layouts() -> dict[str, dict[str, np.ndarray]]:
    """What lays out the steps of dpm_multistep -> its value -> sigmas at 25 steps."""
    spacings: dict[str, dict[str, Any]] = {each: {"timestep_spacing": each} for each in SPACINGS}
    respaced = {each: {"respacing": each} for each in RESPACED}
    beyond = {each: {"respacing": each} for each in GRIDS}
    asked = {"spacings, and respacings of diffusers": spacings | respaced, "respacings beyond diffusers": beyond}
    return {
        f"dpm_multistep: {title}": _grouped(
            {label: create("dpm_multistep", STEPS, **options).sigmas for label, options in each.items()}
        )
        for title, each in asked.items()
    }


def _grouped(curves: Curves) -> dict[str, np.ndarray]:
    groups: list[tuple[list[str], np.ndarray]] = []
    for name, sigmas in curves.items():
        for members, known in groups:
            if known.shape == sigmas.shape and np.allclose(known, sigmas, rtol=5e-3):
                members.append(name)
                break
        else:
            groups.append(([name], sigmas))
    return {", ".join(members): sigmas for members, sigmas in groups}


def draw(path: Path, panels: Mapping[str, Curves]) -> None:
    """Two panels in a row, on the same axes."""
    rows = -(-len(panels) // 2)
    figure = new_figure(12.5, 3.2 * rows)
    places = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).flatten()
    for axes in places[len(panels) :]:
        axes.axis("off")
    for axes, (title, curves) in zip(places, panels.items(), strict=False):
        _panel(axes, curves)
        axes.set_title(title)
    save(figure, path)


def _panel(axes: Any, curves: Curves) -> None:
    styles = ("-", "--", ":", "-.")
    for j, (label, sigmas) in enumerate(curves.items()):
        shown = np.where((sigmas > 0) & np.isfinite(sigmas), np.clip(sigmas, *LIMITS), np.nan)
        style = {"linestyle": styles[j % 4], "color": COLOURS[j], "linewidth": 1.2}
        axes.plot(shown, label=_wrapped(label), **style)
    axes.set(yscale="log", ylim=LIMITS)
    axes.minorticks_off()
    axes.tick_params(labelbottom=True)
    axes.set_xlabel(f"step (N = {STEPS})")
    axes.set_ylabel("sigma / alpha")
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _wrapped(label: str) -> str:
    lines = [""]
    for word in label.split(", "):
        if lines[-1] and len(lines[-1]) + len(word) > _WIDTH:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += f", {word}" if lines[-1] else word
    return "\n".join(lines)
