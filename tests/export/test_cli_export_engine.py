"""``samplegraph export --engine``: graph and engines in one command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from samplegraph.export import ExportError
from samplegraph.export.cli import engines, main
from samplegraph.export.engine import BUILDERS
from samplegraph.runtime import read_manifest
from samplegraph.runtime.engine_file import check_engine

pytestmark = pytest.mark.usefixtures("quick_export")
DIT = ("--model", "cli_models:tinydit", "--scheduler", "ddim", "--no-verify")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def export(*arguments: str) -> int:
    return main(["export", *DIT, *arguments], program="samplegraph")


def test_graphs_and_engines_in_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx")
    more = ("--layout", "chunked:1", "--batch", "dynamic", "--engine", "--target", "sm89")
    assert export("--steps", "2", *more) == 0
    out = capsys.readouterr().out
    graphs = sorted(Path("build").glob("*.onnx"))
    assert len(graphs) == 2
    for graph in graphs:
        engine = graph.with_suffix(".sm89.engine")
        made = check_engine(engine, graph=graph)
        assert made.engine is not None
        assert made.engine.batch == (1, 1, 8)
        assert out.count(f"{engine}  ") == 1
    assert out.index("nodes") < out.index(".sm89.engine  ")


def test_a_build_that_fails_leaves_the_graph(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx")

    def fail(*_: object) -> None:
        raise ExportError("no engine today")

    monkeypatch.setattr(engines, "build_apart", fail)
    assert export("--steps", "1", "--engine", "--target", "sm89") == 2
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1] == "error: no engine today"
    assert "build/tinydit-ddim-1.onnx" in shown.out
    assert {p.name for p in Path("build").iterdir()} == {"tinydit-ddim-1.onnx", "tinydit-ddim-1.onnx.json"}
    assert read_manifest("build/tinydit-ddim-1.onnx").engine is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "sm89"), "target=sm89 is for engines; give --engine too, or leave it out"),
        (("--engine",), "target is missing; give one or more of sm75"),
        (("--engine", "--target", "sm88"), "target=sm88 is not one that tensorrt-rtx builds for"),
        (("--engine", "--builder", "trt"), "builder=trt is not known"),
        (("--engine", "--target", "sm89"), "builder=tensorrt-rtx cannot be imported"),
    ],
)
def test_bad_input_is_one_line_before_any_work(
    arguments: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, BUILDERS["tensorrt-rtx"].module, None)
    assert export("--steps", "1", *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not Path("build").exists()
