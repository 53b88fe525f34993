"""Engines on the command line: which are asked for, and how they are built one after the other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from samplegraph.export.cli.console import interruptible, stdout
from samplegraph.export.cli.output import check_output
from samplegraph.export.engine.apart import build_apart
from samplegraph.export.engine.builders import BuilderKind, builder_kind
from samplegraph.export.engine.files import EnginePlan, plan_engines
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.runtime import InputError, Manifest

#: Seconds that a cancelled build is waited for.
PATIENCE = 5.0


@dataclass(frozen=True)
class EngineOrder:
    """Engines of every graph that a command makes."""

    kind: BuilderKind
    targets: tuple[str, ...]

    def build(self, graph: Path, show: Callable[[str, int, int], object]) -> None:
        """Build those of ``graph``; see ``build_plans``."""
        build_plans(plan_engines(graph, self.kind, self.targets, BuildSettings()), show)


def engine_order(engine: bool, builder: str, target: str) -> EngineOrder | None:
    """What ``export --engine --builder NAME --target SM`` asks for, checked before any work is done.

    Raises:
        InputError: targets without ``--engine``.
        ExportError: as ``builder_kind``, ``choose_targets`` and ``load``.
    """
    if not engine:
        if target:
            raise InputError(f"target={target} is for engines; give --engine too, or leave it out")
        return None
    kind = builder_kind(builder)
    targets = kind.choose_targets(split_targets(target))
    kind.load()
    return EngineOrder(kind, targets)


def split_targets(target: str) -> list[str]:
    """``sm89, sm120`` as a list."""
    return [each.strip() for each in target.split(",")] if target else []


def build_plans(plans: Sequence[EnginePlan], show: Callable[[str, int, int], object]) -> None:
    """Build each, and say so; Ctrl-C ends the one at work, those before it are kept.

    Args:
        show: told ``(phase, done, total)``.

    Raises:
        ExportError, InputError: as ``build_apart``.
    """
    for plan in plans:
        check_output(plan.output, (".engine",))
    for plan in plans:
        if find_spec("onnx") is not None:
            from samplegraph.export.engine.estimate import estimate

            print(f"{plan.graph}: {estimate(plan.graph, plan.manifest)}", file=sys.stderr)
        start = perf_counter()
        made = build_one(plan, show).engine
        assert made is not None
        by = f"{made.builder} {made.builder_version}"
        text = f"{plan.output}  {made.bytes / 1e6:.1f} MB for {plan.target} by {by}, {perf_counter() - start:.1f} s"
        stdout().print(text, soft_wrap=True, markup=False)


def build_one(plan: EnginePlan, show: Callable[[str, int, int], object]) -> Manifest:
    """Build one engine; Ctrl-C ends it.

    Raises:
        ExportError, InputError: as ``build_apart``.
    """
    cancelled = threading.Event()

    def listener(phase: str, done: int, total: int) -> bool:
        show(phase, done, total)
        return not cancelled.is_set()

    return interruptible(lambda: build_apart(plan, listener), cancelled, PATIENCE)
