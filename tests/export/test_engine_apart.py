"""Engines built in a process of their own: the same ones, and whatever happens to that process is one line."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from samplegraph.export import ExportError
from samplegraph.export.cli import main
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


def test_a_refusal_comes_back_as_it_is_and_nothing_is_printed(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    """TensorRT-RTX prints an internal error where it fails at a refittable engine."""
    able = replace(BUILDERS["tensorrt-rtx"], lacks={})
    (plan,) = plan_engines(toy(), able, ["sm89"], BuildSettings(refittable=True))
    with pytest.raises(ExportError, match=r"tensorrt-rtx cannot build it for sm89 \(.*CUDA_SUCCESS"):
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


_READY = """
import resource
import tensorrt_rtx
import samplegraph.export.engine.apart
print(int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
def test_out_of_memory_is_one_line(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """However the builder takes it: an error of its own, or an end of its process."""
    done = subprocess.run([sys.executable, "-c", _READY], capture_output=True, text=True, check=True, timeout=120)
    size = int(done.stdout) + 40 * 2**20

    class Starved(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            resource.prlimit(self.pid, resource.RLIMIT_AS, (size, size))

    monkeypatch.setattr(subprocess, "Popen", Starved)
    graph = toy()
    assert main(["build", str(graph), "--target", "sm89"], program="samplegraph") == 2
    out, err = capfd.readouterr()
    *before, last = err.splitlines()
    assert out == ""
    assert not [line for line in before if "about" not in line]  # the estimate
    assert last.startswith("error: ")
    assert "memory" in last
    assert list(graph.parent.iterdir()) == [graph]
