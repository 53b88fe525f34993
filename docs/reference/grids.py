"""Where the schedulers step: noise-to-signal ratio against the step, for all of them and for all respacings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from docs.reference.figure import IMAGES, new_figure, save
from samplegraph.schedulers import OptionError, create, names, scheduler_class

PICTURE = IMAGES / "grids.svg"
STEPS = 25
#: Letters in a line of the legend.
WIDTH = 28
#: Options of dpm_multistep that lay out steps.
LAYOUTS: Mapping[str, dict[str, Any]] = {
    "linspace": {},
    "leading": {"timestep_spacing": "leading"},
    "trailing": {"timestep_spacing": "trailing"},
    "karras": {"respacing": "karras"},
    "exponential": {"respacing": "exponential"},
    "beta": {"respacing": "beta"},
    "lu": {"respacing": "lu"},
}


def default_grids() -> dict[str, np.ndarray]:
    """Sigmas at 25 steps by the schedulers that share them; not those of tokens, which have none."""
    found = {}
    for name in (each for each in names() if scheduler_class(each).sample_dtype == "float32"):
        with suppress(OptionError):  # one that cannot do 25 steps, or needs options
            found[name] = create(name, STEPS).sigmas
    return _grouped(found)


def layouts() -> dict[str, np.ndarray]:
    """Sigmas of dpm_multistep at 25 steps, by what lays them out."""
    return _grouped({label: create("dpm_multistep", STEPS, **options).sigmas for label, options in LAYOUTS.items()})


def _grouped(curves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    groups: list[tuple[list[str], np.ndarray]] = []
    for name, sigmas in curves.items():
        for members, known in groups:
            if known.shape == sigmas.shape and np.allclose(known, sigmas, rtol=5e-3):
                members.append(name)
                break
        else:
            groups.append(([name], sigmas))
    return {", ".join(members): sigmas for members, sigmas in groups}


def draw() -> None:
    """Both, side by side."""
    figure = new_figure(10.5, 5.2)
    left, right = figure.subplots(1, 2)
    _panel(left, default_grids(), "default options")
    _panel(right, layouts(), "dpm_multistep: timestep_spacing and respacing")
    save(figure, PICTURE)


def _panel(axes: Any, curves: Mapping[str, np.ndarray], title: str) -> None:
    styles = ("-", "--", ":", "-.")
    for j, (label, sigmas) in enumerate(curves.items()):
        shown = np.where((sigmas > 0) & np.isfinite(sigmas), sigmas, np.nan)
        text = label if len(label) <= WIDTH else _wrapped(label)
        axes.plot(shown, styles[j % 4], color=f"C{j % 10}", marker="o", markersize=2.2, linewidth=1.1, label=text)
    axes.set_yscale("log")
    axes.set_xlabel(f"step (N = {STEPS})")
    axes.set_ylabel("sigma / alpha")
    axes.set_title(title)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0.0, -0.13), ncols=2)


def _wrapped(label: str) -> str:
    lines = [""]
    for word in label.split(", "):
        if lines[-1] and len(lines[-1]) + len(word) > WIDTH:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += f", {word}" if lines[-1] else word
    return "\n".join(lines)
