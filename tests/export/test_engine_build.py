"""Engines of small graphs, built ahead of time by TensorRT-RTX; no GPU is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from networks import TinyDiT, TinyUNet, seeded

from samplegraph.export import Captures, ExportError, compile
from samplegraph.export.engine import BUILDERS, BatchProfile, BuildSettings, EnginePlan, build_engine, plan_engines
from samplegraph.export.engine.files import engine_of
from samplegraph.models import Sampler
from samplegraph.runtime import CancelledError, InputError, read_manifest
from samplegraph.runtime.engine_file import check_engine, file_sha256
from samplegraph.runtime.manifest_file import sidecar
from samplegraph.schedulers import create

trt = pytest.importorskip("tensorrt_rtx")
RTX = BUILDERS["tensorrt-rtx"]
Toy = Callable[..., Path]


def plans(graph: Path, *targets: str, **settings: object) -> list[EnginePlan]:
    return plan_engines(graph, RTX, targets or ("sm89",), BuildSettings(**settings))  # type: ignore[arg-type]


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


@pytest.fixture(scope="module")
def dit(tmp_path_factory: pytest.TempPathFactory, captures: Captures) -> Path:
    """Four steps in chunks of two, of any batch, weights beside them."""
    sampler = Sampler(seeded(TinyDiT()), create("euler", steps=4), guidance_scale=2.0)
    program = compile(sampler, batch="dynamic", layout="chunked:2", weights="external", captures=captures)
    return Path(program.save(tmp_path_factory.mktemp("dit") / "dit.onnx"))


def test_a_set_of_chunks_becomes_a_set_of_engines(dit: Path) -> None:
    made = [build_engine(plan) for plan in plans(dit, batch=BatchProfile(1, 2, 4))]
    engines = [dit.with_name(f"dit.chunk-0{k}.sm89.engine") for k in (0, 1)]
    for engine, manifest in zip(engines, made, strict=True):
        graph = engine.with_name(engine.name.replace(".sm89.engine", ".onnx"))
        assert check_engine(engine, RTX.name, trt.__version__, (8, 9), graph) == manifest
        assert manifest == replace(read_manifest(graph), engine=manifest.engine)
        assert manifest.engine is not None
        assert manifest.engine.batch == (1, 2, 4)
        assert manifest.engine.graph_sha256 == file_sha256(graph)
        assert engine.stat().st_size == manifest.engine.bytes > 10_000
        (weights,) = dit.parent.glob("weights-*.bin")
        assert manifest.engine.weight_files == {weights.name: file_sha256(weights)}


def test_values_inside_become_outputs(toy: Toy) -> None:
    (plan,) = plans(toy())
    inside = onnx.load(plan.graph).graph.node[0].output[0]
    plain, _ = engine_of(plan, lambda *_: None)
    made, manifest = engine_of(replace(plan, visited=(inside,)), lambda *_: None)
    assert [t.name for t in manifest.outputs] == ["sample", inside]
    assert bytes(made).count(inside.encode()) > bytes(plain).count(inside.encode())


def test_several_targets_and_twice_the_same_bytes(tmp_path: Path) -> None:
    sampler = Sampler(seeded(TinyUNet()), create("ddim", steps=2), guidance_scale=2.0)
    graph = Path(compile(sampler).save(tmp_path / "unet.onnx"))
    digests = [[build_engine(plan).engine for plan in plans(graph, "sm89", "sm120")] for _ in range(2)]
    assert digests[0] == digests[1]
    assert names(tmp_path) == names(tmp_path) | {"unet.sm89.engine", "unet.sm120.engine.json"}
    assert digests[0][0] != digests[0][1]


def test_symbolic_batch_has_a_default_and_static_batch_none(toy: Toy) -> None:
    (plan,) = plans(toy(batch="batch", slices=2))
    made = build_engine(plan).engine
    assert made is not None
    assert made.batch == (1, 1, 8)
    static = toy("static.onnx", batch=3)
    made = build_engine(plans(static)[0]).engine
    assert made is not None
    assert made.batch == ()
    with pytest.raises(ExportError, match=r"batch=1:1:2: .* always takes 3 rows; leave it out"):
        plans(static, batch=BatchProfile(1, 1, 2))


def test_the_targets_are_those_that_the_builder_knows() -> None:
    members = set(trt.ComputeCapability.__members__) - {"NONE", "CURRENT"}
    assert {target.upper() for target in RTX.targets} == members


def test_a_cancelled_build_leaves_what_was_there(toy: Toy) -> None:
    graph = toy()
    (plan,) = plans(graph)
    plan.output.write_bytes(b"before")
    seen = []

    def listener(phase: str, done: int, total: int) -> bool:
        seen.append((phase, done, total))
        return len(seen) < 3

    with pytest.raises(CancelledError, match="the build for sm89 was cancelled"):
        build_engine(plan, listener)
    assert len(seen) == 3
    assert all(1 <= done <= total for _, done, total in seen)
    assert names(graph.parent) == {graph.name, plan.output.name}
    assert plan.output.read_bytes() == b"before"


def test_an_error_of_the_listener_cancels(toy: Toy) -> None:
    def listener(phase: str, done: int, total: int) -> bool:
        raise RuntimeError("no bar")

    with pytest.raises(CancelledError):
        build_engine(plans(toy())[0], listener)


def test_a_build_that_fails_is_one_line_and_leaves_nothing(dit: Path, tmp_path: Path) -> None:
    plan = replace(plans(dit, workspace_mb=1)[0], output=tmp_path / "x.engine")
    with pytest.raises(ExportError, match=r"cannot build it for sm89 \(.*workspace.*; give more than --workspace 1"):
        build_engine(plan)
    with pytest.raises(ExportError, match=r"FP32 GEMM.*export with --precision fp16"):
        build_engine(replace(plans(dit)[0], output=tmp_path / "x.engine", target="sm75"))
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("setting", "words"), [("version_compatible", "libnvinfer_lean"), ("refittable", "CUDA_SUCCESS")]
)
def test_the_builder_is_told_what_it_lacks(setting: str, words: str, toy: Toy) -> None:
    """What TensorRT-RTX fails at, once its refusal is taken away, was asked of it."""
    able = replace(RTX, lacks={})
    (plan,) = plan_engines(toy(), able, ["sm89"], BuildSettings(**{setting: True}))  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=words):
        build_engine(plan)


def test_settings_that_are_refused_would_change_nothing(toy: Toy) -> None:
    able, graph = replace(RTX, lacks={}), toy()
    settings = (BuildSettings(), BuildSettings(optimization_level=0), BuildSettings(optimization_level=5))
    made = [build_engine(plan).engine for s in settings for plan in plan_engines(graph, able, ["sm89"], s)]
    assert made[0] == made[1] == made[2]
    limited = build_engine(plans(graph, workspace_mb=64)[0]).engine
    assert limited != made[0]


def test_what_the_parser_refuses_is_named(toy: Toy) -> None:
    graph = toy()
    model = onnx.load(graph)
    model.graph.node[0].op_type = "Hadamard"
    onnx.save(model, graph)
    with pytest.raises(ExportError, match=r"tensorrt-rtx cannot read it \(Hadamard"):
        build_engine(plans(graph)[0])


def test_a_full_disk_leaves_nothing(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = toy()

    def full(path: Path, data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match=r"cannot be written \(No space left on device"):
        build_engine(plans(graph)[0])
    assert names(graph.parent) == {graph.name}


def test_weights_have_to_be_there(dit: Path, tmp_path: Path) -> None:
    for part in dit.parent.glob("*.onnx"):
        (tmp_path / part.name).write_bytes(part.read_bytes())
    with pytest.raises(InputError, match=r"its weights file 'weights-.*' is missing; put it beside the graph"):
        plans(tmp_path / dit.name)


def test_the_sidecar_is_no_graph(toy: Toy) -> None:
    (plan,) = plans(toy())
    build_engine(plan)
    for file in (plan.output, sidecar(plan.output)):
        with pytest.raises(ExportError, match="is no graph; give the"):
            plans(file)
