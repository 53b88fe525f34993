"""What the figures of the documents have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

IMAGES = Path(__file__).parents[1] / "images"
ROOT = Path(__file__).parents[2]
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "samplegraph",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.5,
}


def new_figure(width: float, height: float) -> Any:
    """An empty figure, sizes in inches."""
    matplotlib.rcParams.update(_STYLE)
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save(figure: Any, path: Path) -> None:
    """Write SVG; the same figure gives the same bytes."""
    matplotlib.rcParams.update(_STYLE)
    figure.savefig(path, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
