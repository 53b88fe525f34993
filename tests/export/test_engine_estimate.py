"""What a build is said to take, and what is advised; and what is refused before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
from onnx import helper

from samplegraph.export import ExportError
from samplegraph.export.cli import main
from samplegraph.export.engine import BUILDERS, BuildSettings, plan_engines
from samplegraph.export.engine.estimate import build_seconds, estimate
from samplegraph.runtime import Manifest, read_manifest
from samplegraph.runtime.manifest import Chunk

Toy = Callable[..., Path]


def graph_of(path: Path, nodes: int) -> Path:
    made = [helper.make_node("Identity", [f"v{k}"], [f"v{k + 1}"]) for k in range(nodes)]
    ends = [helper.make_tensor_value_info(name, 1, [1]) for name in ("v0", f"v{nodes}")]
    onnx.save(helper.make_model(helper.make_graph(made, "chain", ends[:1], ends[1:])), path)
    return path


@pytest.fixture
def long(toy: Toy) -> Manifest:
    """Of 25 evaluations in one graph, affine."""
    own = read_manifest(toy())
    scheduler, tables = replace(own.scheduler, steps=25, nfe=25), replace(own.tables, coefficients=({"x": 1.0},))
    return replace(own, layout="unrolled", scheduler=scheduler, tables=tables)


def test_an_estimate_grows_faster_than_the_graph() -> None:
    seconds = [build_seconds(n) for n in (0, 400, 2_000, 6_000, 24_000)]
    assert seconds == sorted(seconds)
    assert seconds[0] == 0
    assert all(b / a > 3 for a, b in pairwise(seconds[1:]))


def test_long_builds_name_the_better_layout(long: Manifest, tmp_path: Path) -> None:
    graph = graph_of(tmp_path / "x.onnx", 12_000)
    text = str(estimate(graph, long))
    assert text == "12,000 nodes, about 2 min to build; --layout repeated:5 is one engine for all steps, in about 8 s"
    bare = replace(long, tables=replace(long.tables, coefficients=()))
    assert str(estimate(graph, bare)).endswith("; --layout chunked:5 is 5 engines, each in about 8 s")
    part = replace(long, layout="chunked:20", chunk=Chunk(0, 2, 0, 20, (0, 0)))
    assert "; --layout repeated:5 is one engine" in str(estimate(graph, part))
    assert estimate(graph, replace(long, layout="loop")).advice == ""
    assert estimate(graph_of(tmp_path / "y.onnx", 300), long).advice == ""


def test_nodes_of_subgraphs_count(long: Manifest, tmp_path: Path) -> None:
    inner = onnx.load(graph_of(tmp_path / "x.onnx", 30)).graph
    del inner.input[:]
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    condition = helper.make_tensor_value_info("c", 9, [])
    out = helper.make_tensor_value_info("y", 1, [1])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [condition], [out])), tmp_path / "y.onnx")
    assert estimate(tmp_path / "y.onnx", long).nodes == 61


def test_build_says_what_it_will_take(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx")
    graph = toy()
    assert main(["build", str(graph), "--target", "sm89"], program="samplegraph") == 0
    assert f"{graph}: {len(onnx.load(graph).graph.node)} nodes, about 1 s to build\n" in capsys.readouterr().err


def test_what_the_builder_refuses_is_said_before_it_is_asked(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx")
    graph = toy()
    model = onnx.load(graph)
    model.graph.node.append(helper.make_node("NonZero", [model.graph.input[0].name], ["s0.places"], "s0.NonZero"))
    onnx.save(model, graph)
    words = rf"TensorRT cannot build {graph}: NonZero 's0.NonZero' in evaluation 0 of the network: no such operator; "
    with pytest.raises(ExportError, match=words):
        plan_engines(graph, BUILDERS["tensorrt-rtx"], ["sm89"], BuildSettings())
    assert main(["build", str(graph), "--target", "sm89"], program="samplegraph") == 2
    assert "gather by indices of a fixed number" in capsys.readouterr().err
    assert [p.name for p in graph.parent.iterdir()] == [graph.name]
    for kind in (BUILDERS["tensorrt"], replace(BUILDERS["tensorrt-rtx"], described=(1, 0))):  # not of its rules
        assert len(plan_engines(graph, kind, ["sm89"], BuildSettings())) == 1
