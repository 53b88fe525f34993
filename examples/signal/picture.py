"""A picture: the bands, the sound they were taken from, what is decoded from them, and quality against steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from examples.signal.evaluate import Row
from examples.signal.sound import RATE
from examples.signal.stream import Floats


def draw(
    heard: Floats, bands: Floats, decoded: Mapping[int, Floats], rows: Sequence[Row], periodicity: float, output: Path
) -> None:
    """Write the picture.

    Args:
        heard: the sound, (T,).
        bands: its bands, (K, BANDS).
        decoded: by step count, streams (T,).
        rows: the figures of each step count.
        periodicity: that of the sound.
    """
    matplotlib.rcParams.update({"svg.hashsalt": "samplegraph", "font.size": 8})
    figure = Figure(figsize=(9, 1.1 * (2 + len(decoded))), layout="constrained", facecolor="white")
    halves: Any = figure.subfigures(1, 2, width_ratios=(2, 1))
    left, right = halves
    panels = left.subplots(2 + len(decoded), 1, sharex=True)
    seconds = len(heard) / RATE
    panels[0].imshow(bands.T, origin="lower", aspect="auto", extent=(0, seconds, 0, bands.shape[1]), cmap="magma")
    panels[0].set_ylabel("bands")
    time = np.arange(len(heard)) / RATE
    for axes, (name, wave) in zip(
        panels[1:], [("sound", heard), *((f"{n} steps", w) for n, w in decoded.items())], strict=True
    ):
        axes.plot(time, wave[: len(time)], linewidth=0.4, color="#333333" if name == "sound" else "#2a78b5")
        axes.set(ylabel=name, ylim=(-1.1, 1.1), yticks=())
    panels[-1].set_xlabel("seconds")
    upper, lower = right.subplots(2, 1, sharex=True)
    steps = [row.steps for row in rows]
    upper.plot(steps, [row.quality.distance for row in rows], "o-", color="#2a78b5")
    upper.set(ylabel="bands differ by, dB", ylim=(0, None))
    lower.plot(steps, [row.quality.periodicity for row in rows], "o-", color="#2a78b5")
    lower.axhline(periodicity, color="#333333", linewidth=0.8, linestyle=":")
    lower.set(ylabel="periodicity (dotted: the sound's)", xlabel="steps", xticks=steps)
    for axes in (*panels, upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, metadata={"Date": None} if output.suffix == ".svg" else None, dpi=100)
