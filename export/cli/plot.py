"""The curve of noise levels, drawn with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samplegraph.export.atomic import replacing
from samplegraph.export.cli.errors import needs_extra
from samplegraph.runtime import Manifest

SUFFIXES = (".svg", ".png", ".pdf")
#: A range of sigmas above which the axis is logarithmic.
_WIDE = 20.0


def plot_sigmas(manifest: Manifest, output: Path) -> None:
    """Draw sigma over the steps into ``output``; the same manifest gives the same bytes.

    Raises:
        InputError: matplotlib is missing.
    """
    with needs_extra("export", "--plot"):
        import matplotlib
        from matplotlib.figure import Figure

    sigmas = manifest.tables.sigmas
    figure: Any = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(len(sigmas)), sigmas, marker="o", markersize=3, linewidth=1.2)
    positive = [s for s in sigmas if s > 0]
    if positive and max(positive) > _WIDE * min(positive) and max(positive) > 1:
        axes.set_yscale("symlog", linthresh=min(positive))
    axes.set_xlabel("step")
    axes.set_ylabel("sigma")
    axes.set_title(
        f"{manifest.scheduler.name}, {manifest.scheduler.steps} steps, NFE {manifest.scheduler.nfe}"
    )
    axes.grid(True, linewidth=0.4, alpha=0.5)
    kind = output.suffix.lower()[1:]
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with matplotlib.rc_context({"svg.hashsalt": "samplegraph"}), replacing(output) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)
