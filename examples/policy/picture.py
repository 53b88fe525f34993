"""A picture of trajectories: several runs through each of a few scenes, which differ in their noise alone."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from examples.policy.control import drive, graph
from examples.policy.world import GOAL_RADIUS, Scene

COLOURS = {"goal": "#2a78b5", "collision": "#d1495b", "time": "#edae49"}


def draw(file: Path, listed: list[Scene], runs: int, output: Path) -> None:
    """Drive ``runs`` robots through each scene by the graph in ``file``; writes an SVG or PNG."""
    matplotlib.rcParams.update({"svg.hashsalt": "samplegraph", "font.size": 8})
    planner = graph(file)
    figure = Figure(figsize=(2.4 * len(listed), 2.6), layout="constrained", facecolor="white")
    for axes, scene in zip(figure.subplots(1, len(listed)), listed, strict=True):
        for x, y, radius in scene.obstacles:
            axes.add_patch(Circle((x, y), radius, color="#c9cdd2", linewidth=0))
        axes.add_patch(Circle(tuple(scene.goal), GOAL_RADIUS, color="#66a182", linewidth=0))
        ended = drive(planner, [scene] * runs)
        for run in ended:
            axes.plot(*run.path.T, color=COLOURS[run.outcome], linewidth=0.8, alpha=0.7)
        axes.plot(*scene.start, "o", color="#333333", markersize=4)
        axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xticks=(), yticks=(), aspect="equal")
        axes.set_title(f"{sum(r.outcome == 'goal' for r in ended)} of {runs} reach the goal")
    figure.savefig(output, metadata={"Date": None} if output.suffix == ".svg" else None, dpi=110)
