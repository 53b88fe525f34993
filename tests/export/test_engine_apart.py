"""Engines built in a process of their own: the same ones, and whatever happens to that process is one line."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from samplegraph.export import ExportError
from samplegraph.export.engine import BUILDERS, BuildSettings, EnginePlan, build_engine, plan_engines
from samplegraph.export.engine.apart import build_apart
from samplegraph.runtime import CancelledError

pytest.importorskip("tensorrt_rtx")
Toy = Callable[..., Path]


def plan_of(graph: Path, **settings: Any) -> EnginePlan:
    (plan,) = plan_engines(graph, BUILDERS["tensorrt-rtx"], ["sm89"], BuildSettings(**settings))
    return plan


@contextmanager
def limit(what: int, size: int) -> Iterator[None]:
    before = resource.getrlimit(what)
    resource.setrlimit(what, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def test_the_engine_is_that_of_this_process(toy: Toy) -> None:
    plan, seen = plan_of(toy()), []
    made = build_apart(plan, lambda *report: seen.append(report))
    bytes_made = plan.output.read_bytes()
    assert any(done == total for phase, done, total in seen if phase != "start")
    assert build_engine(plan) == made
    assert plan.output.read_bytes() == bytes_made


def test_a_refusal_comes_back_as_it_is(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    graph = toy()
    plan = plan_of(graph)
    graph.write_bytes(b"no graph")
    with pytest.raises(ExportError, match=r"tensorrt-rtx cannot read it"):
        build_apart(plan)
    assert capfd.readouterr() == ("", "")


def test_cancelling_does_not_wait_for_the_builder(toy: Toy) -> None:
    """The first call of the listener is before any report."""
    graph, seen = toy(), []

    def listener(*report: Any) -> bool:
        seen.append(report)
        return False

    with pytest.raises(CancelledError, match="the build for sm89 was cancelled"):
        build_apart(plan_of(graph), listener)
    assert len(seen) == 1
    assert list(graph.parent.iterdir()) == [graph]


def test_a_process_that_is_killed_is_one_line(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, children = toy(), []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            children.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    with pytest.raises(ExportError, match=r"ended with SIGKILL while it built for sm89, probably for lack of memory"):
        build_apart(plan_of(graph), lambda *_: children[0].kill())
    assert list(graph.parent.iterdir()) == [graph]


def test_a_full_disk_leaves_nothing(toy: Toy) -> None:
    graph = toy()
    with limit(resource.RLIMIT_FSIZE, 100_000), pytest.raises(ExportError, match=r"cannot be written \(File too large"):
        build_apart(plan_of(graph))
    assert list(graph.parent.iterdir()) == [graph]


_STARVED = """
import resource, sys
import tensorrt_rtx
from samplegraph.export.cli import main
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 60 * 2**20,) * 2)
sys.exit(main(["build", sys.argv[1], "--target", "sm89"], program="samplegraph"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_out_of_memory_is_one_line(toy: Toy) -> None:
    """However the builder takes it: an error of its own, or an end of its process."""
    graph = toy()
    done = subprocess.run([sys.executable, "-c", _STARVED, str(graph)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "memory" in done.stderr or "cannot be imported" in done.stderr
    assert list(graph.parent.iterdir()) == [graph]
