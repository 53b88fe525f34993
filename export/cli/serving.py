"""``build --triton`` and ``triton``: a version of a model in a Triton repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from samplegraph.export.cli.console import phase_bars, stdout
from samplegraph.export.cli.engines import build_one
from samplegraph.export.cli.errors import needs_extra
from samplegraph.export.cli.values import whole_number
from samplegraph.export.engine.builders import BuilderKind
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES


@dataclass(frozen=True)
class Engines:
    """Engines to build and serve in place of the graph."""

    kind: BuilderKind
    targets: Sequence[str]
    settings: BuildSettings


def serve(
    file: Path,
    repository: Path,
    name: str | None,
    version: str,
    max_batch: str | None,
    force: bool,
    engines: Engines | None = None,
) -> None:
    """Write a graph, an engine, or the engines to build from a graph, into the repository, and say so.

    Raises:
        ExportError, InputError: see ``lay_out``, ``lay_out_engine`` and ``lay_out_built``.
    """
    number = whole_number("version", version)
    rows = None if max_batch is None else whole_number("max_batch", max_batch)
    with needs_extra("export", "triton"):
        from samplegraph.export.triton.model import Place, lay_out
        from samplegraph.export.triton.plan import lay_out_built, lay_out_engine

    place = Place(repository, name, number, force)
    if file.suffix in ENGINE_SUFFIXES:
        made = lay_out_engine(file, place, rows)
    elif engines is None:
        made = lay_out(file, repository, name=name, version=number, max_batch=rows, force=force)
    else:
        with phase_bars() as show:
            build = partial(build_one, show=show)
            made = lay_out_built(file, place, engines.kind, engines.targets, engines.settings, build, rows)
    text = f"{made.folder}  "
    if made.max_batch:
        text += f"calls merged up to {made.max_batch} rows"
    else:
        text += f"calls not merged{': ' + made.note if made.note else ''}"
    stdout().print(text, soft_wrap=True, markup=False)
