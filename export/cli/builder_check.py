"""``samplegraph inspect --builder-check``: what TensorRT would refuse of a graph."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from samplegraph.export.cli.console import stdout
from samplegraph.export.cli.errors import UNVERIFIED, needs_extra


def check_builder(file: Path) -> None:
    """Print the problems of the graph ``file``, one row for each; exit code 1 if there are any.

    Raises:
        ExportError: the file is no ONNX graph.
    """
    with needs_extra("export", "--builder-check"):
        from samplegraph.export.engine.builder_safe import problems_of

    found = problems_of(file)
    if not found:
        stdout().print(f"{file}: nothing that TensorRT refuses", soft_wrap=True, markup=False)
        return
    table = Table(title=f"{file}: what TensorRT refuses", title_justify="left")
    for name in ("op", "nodes", "first", "origin", "reason", "remedy"):
        table.add_column(name, overflow="fold")
    for p in found:
        table.add_row(p.op, str(p.count), p.name, p.origin, p.reason, p.remedy)
    stdout().print(table)
    raise typer.Exit(UNVERIFIED)
