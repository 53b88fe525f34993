"""``samplegraph plan``: coefficient tables for further step counts of a graph of one evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samplegraph.export.atomic import replacing
from samplegraph.export.cli.console import stdout
from samplegraph.export.cli.errors import needs_extra
from samplegraph.export.cli.values import whole_number
from samplegraph.runtime import InputError, read_manifest
from samplegraph.runtime.tables import plan_file, read_tables, tables_json

EXAMPLE = "samplegraph plan build/digits-euler-25-step.onnx --steps 7,13"


def plan(
    file: Annotated[
        Path, typer.Argument(help="A graph exported with --layout step.", metavar="FILE", show_default=False)
    ],
    steps: Annotated[
        str, typer.Option(help="Numbers of steps, such as 7,13.", metavar="N", show_default=False)
    ],
    strength: Annotated[
        float | None, typer.Option(help="For a graph of image to image: its strength.", show_default=False)
    ] = None,
) -> None:
    """Write coefficient tables for further step counts into FILE.plan.json, which `samplegraph run --steps` reads.

    The graph stays as it is. Tables that the file holds already are kept. Needs no model.
    """
    counts = [whole_number("steps", text.strip()) for text in steps.split(",")]
    manifest = read_manifest(file)
    known = manifest.recurrence
    if known is None:
        raise InputError(
            f"{file}: is of layout {manifest.layout!r}, whose steps are fixed; export with --layout step for any number"
        )
    if known.constants is not None:
        own = ",".join(str(table.steps) for table in known.tables)
        raise InputError(
            f"{file}: is of layout {manifest.layout!r}, whose constants only the network can make; export it with "
            f"--steps {own},{steps}"
        )
    with needs_extra("export", "plan"):
        from samplegraph.export.sampling.coefficients import further_table
        from samplegraph.export.verification.rebuild import without_network

    target = plan_file(file)
    tables = {table.steps: table for table in read_tables(target, known)}
    made = {table.steps for table in known.tables}
    for count in counts:
        if count not in made:
            tables[count] = further_table(without_network(manifest, count, strength), known)
    with replacing(target) as temporary:
        temporary.write_text(tables_json(known, [tables[n] for n in sorted(tables)]), encoding="utf-8")
    found = ", ".join(map(str, sorted(made | set(tables))))
    stdout().print(f"{target}  {file.name} now runs {found} steps", soft_wrap=True, markup=False)
