"""What ``export`` prints about a graph that it has made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from samplegraph.export.cli.console import stdout
from samplegraph.export.cli.steps import step_table
from samplegraph.runtime import read_manifest

if TYPE_CHECKING:
    from samplegraph.export.program import Program
    from samplegraph.export.verification.comparison import Verification


def summary(program: Program, path: Path) -> None:
    from rich.table import Table

    report = program.report()
    table = Table(title=str(path), title_justify="left", show_header=False)
    done = report.specialised
    table.add_row("nodes", f"{report.nodes:,}")
    table.add_row("graph file", _size(report.bytes))
    files = ", ".join(program.manifest.weights.files)
    table.add_row("weights", f"{_size(report.weight_bytes)} {f'in {files}' if files else 'embedded'}")
    table.add_row("denoiser evaluations (NFE)", str(report.nfe))
    nodes = f"{done['folded']} folded, {done['hoisted']} hoisted, {done['batched']} batched over steps, "
    shared = done.get("on one branch", 0)
    nodes += f"{done['per site']} per evaluation" + (f", {shared} of them on one branch" if shared else "")
    table.add_row("denoiser nodes", nodes)
    if report.total.flops:
        share = 100 * report.saved.flops / report.total.flops
        text = f"{report.saved.flops / 1e6:,.1f} MFLOP ({share:.1f} %) and {_size(report.saved.bytes)} of values"
        table.add_row("saved against a host loop", text)
    table.add_row("peak memory", _size(report.peak_memory))
    table.add_row("max error", _error(program.verification))
    if program.note:
        table.add_row("precision", program.note)
    seconds = ", ".join(f"{phase} {value:.1f}" for phase, value in report.seconds.items() if value >= 0.05)
    table.add_row("seconds", f"{sum(report.seconds.values()):.1f} ({seconds})")
    stdout().print(table)
    result = program.verification
    if result is not None and result.least_cosine is not None:
        stdout().print(step_table(result))


def _error(result: Verification | None) -> str:
    if result is None:
        return "not verified"
    worst = max(range(len(result.errors)), key=result.errors.__getitem__)
    place = "behind the last step" if result.timesteps[worst] is None else f"after step {worst + 1}"
    at_worst = f"; worst {place}: {result.errors[worst]:.1e}" if len(result.errors) > 1 else ""
    diverged = result.divergence()
    return f"{result.error:.1e} relative to eager{at_worst}{f'; {diverged}' if diverged else ''}"


def optimized_line(path: Path) -> None:
    made = read_manifest(path).optimized_for
    assert made is not None
    size = _size(path.stat().st_size) + (f" and {_size(made.bytes)} in {made.file}" if made.file else "")
    stdout().print(f"{path}  optimised for ONNX Runtime {made.onnxruntime}, {size}", soft_wrap=True, markup=False)


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
