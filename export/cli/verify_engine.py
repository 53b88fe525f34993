"""``samplegraph verify`` of an engine: the files it was built from, and its samples where its GPU is at hand."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from samplegraph.export.cli.console import phase_bars, stdout
from samplegraph.export.verification.engine_sources import check_sources, engine_files, obstacle
from samplegraph.runtime import Manifest

if TYPE_CHECKING:
    from samplegraph.export.engine import EnginePlan
    from samplegraph.export.signature import Signature
    from samplegraph.export.verification.comparison import Verification
    from samplegraph.models import Sampler


def runs_here(file: Path, manifest: Manifest) -> bool:
    """Check the engine, and all of the set that it belongs to, as files; say what was found, and whether it runs here.

    Raises:
        InputError: a file is missing, or is not what it was when the engine was built.
    """
    files, made = engine_files(file), manifest.engine
    assert made is not None
    what = "whole" if len(files) == 1 else f"all {len(files)} engines of the set whole"
    found = f"{file}: {what}, {check_sources(files)}; by {made.builder} {made.builder_version} for {made.target}"
    why = obstacle(file, made)
    stdout().print(f"{found}; not run against eager: {why}" if why else found, soft_wrap=True, markup=False)
    return not why


def against_eager(
    file: Path, sampler: Sampler, sig: Signature, seed: int, cancelled: threading.Event
) -> tuple[Verification, str]:
    """``verify_engine``, with bars for the builds that it takes; they end where ``cancelled`` is set."""
    from samplegraph.export.engine.apart import build_apart
    from samplegraph.export.verification.engine import verify_engine

    with phase_bars() as show:

        def build(plan: EnginePlan) -> None:
            def listener(phase: str, done: int, total: int) -> bool:
                show(phase, done, total)
                return not cancelled.is_set()

            build_apart(plan, listener)

        return verify_engine(file, sampler, sig, build, seed=seed)
