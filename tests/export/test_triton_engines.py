"""Engines in a Triton repository. TensorRT's own needs a GPU to build; TensorRT-RTX builds here under its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import LABELS
from fake_tensorrt import write_engine
from torch import nn
from triton_files import compiled, config_of

from samplegraph.export import Captures
from samplegraph.export.cli import main
from samplegraph.export.engine import builders
from samplegraph.runtime import read_manifest

Toy = Callable[..., Path]


@pytest.fixture
def rtx_as_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The builder ``tensorrt`` is TensorRT-RTX, for sm89."""
    pytest.importorskip("tensorrt_rtx")
    stand_in = replace(builders.BUILDERS["tensorrt-rtx"], name="tensorrt")
    monkeypatch.setitem(builders.BUILDERS, "tensorrt", stand_in)


def build(*arguments: object) -> int:
    return main(["build", *map(str, arguments)], program="samplegraph")


@pytest.mark.usefixtures("rtx_as_tensorrt")
@pytest.mark.parametrize("layout", ["unrolled", "chunked:2"])
def test_an_engine_is_built_in_the_form_that_merges_calls(
    layout: str,
    captures: Captures,
    denoisers: dict[str, nn.Module],
    tmp_path: Path,
    schema: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = compiled(
        tmp_path, "ddpm", captures, denoisers["tinydit"], layout=layout, batch="dynamic", weights="external"
    )
    models, before = tmp_path / "models", sorted(file.parent.iterdir())
    engine = ("--builder", "tensorrt", "--target", "sm89", "--triton", models, "--name", "robot")
    assert build(file, *engine, "--max-batch", 4) == 0, capsys.readouterr().err
    assert capsys.readouterr().out == f"{models / 'robot' / '1'}  calls merged up to 4 rows\n"
    assert sorted(file.parent.iterdir()) == before
    parts = ["robot"] if layout == "unrolled" else ["robot-chunk-00", "robot-chunk-01"]
    for part in parts:
        version = models / part / "1"
        assert {path.name for path in version.iterdir()} == {"model.plan", "manifest.json"}
        config, manifest = config_of(version.parent, schema), read_manifest(version / "manifest.json")
        assert (config.backend, config.max_batch_size) == ("tensorrt", 4)
        assert config.HasField("dynamic_batching")
        made = manifest.engine
        assert made is not None
        assert made.sha256 == hashlib.sha256((version / "model.plan").read_bytes()).hexdigest()
        assert made.batch == (1, 1, 4)
        assert [i.name for i in config.input] == [t.name for t in manifest.inputs]
        for declared, tensor in zip(config.input, manifest.inputs, strict=True):
            dims = list(declared.reshape.shape) if declared.HasField("reshape") else list(declared.dims)
            assert tensor.shape == ("batch", *dims)
    if layout != "unrolled":
        assert config_of(models / "robot", schema).platform == "ensemble"
    else:
        shapes = {i.name: list(i.dims) for i in config_of(models / "robot", schema).input}
        assert shapes["step_noise"][1:] == shapes["noise"]


@pytest.mark.parametrize(
    ("conditions", "slices", "batch", "rows", "why"),
    [
        ((LABELS,), 0, (1, 4, 8), 8, None),
        ((LABELS,), 2, (1, 4, 8), 0, "step_noise has no batch on axis 0; build from the graph"),
        ((LABELS,), 0, (2, 4, 8), 0, "it takes no single row"),
        ((LABELS,), 0, (), 0, "its batch is static"),
    ],
)
def test_an_engine_that_is_there_is_served_as_it_is(
    conditions: tuple[Any, ...],
    slices: int,
    batch: tuple[int, ...],
    rows: int,
    why: str | None,
    toy: Toy,
    schema: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    graph = toy(batch="batch" if batch else 1, slices=slices, conditions=conditions)
    engine = write_engine(graph, "tensorrt", batch)
    models = graph.parent / "models"
    assert build(engine, "--triton", models) == 0, capsys.readouterr().err
    out = " ".join(capsys.readouterr().out.split())
    assert (f"calls merged up to {rows} rows" if rows else f"calls not merged: {why}") in out
    version = models / "toy-ddim-3" / "1"
    assert (version / "model.plan").read_bytes() == engine.read_bytes()
    assert config_of(version.parent, schema).max_batch_size == rows
    if why is not None:
        assert build(engine, "--triton", models, "--version", 2, "--max-batch", 2) == 2
        assert "max_batch=2: calls of" in capsys.readouterr().err


def test_a_scalar_of_an_engine_is_reshaped(toy: Toy, schema: Any) -> None:
    graph = toy()
    assert build(write_engine(graph, "tensorrt"), "--triton", graph.parent / "models") == 0
    scale = config_of(graph.parent / "models" / "toy-ddim-3", schema).input[2]
    assert (scale.name, list(scale.dims), list(scale.reshape.shape)) == ("guidance_scale", [1], [])
    assert scale.HasField("reshape")


@pytest.mark.parametrize(
    ("file", "arguments", "words"),
    [
        ("toy.onnx", ("--target", "sm89"), "builder=tensorrt-rtx: Triton's TensorRT backend loads engines of tensorrt"),
        ("toy.onnx", ("--batch", "1:2:4"), "is served as it is with --triton; give --builder tensorrt"),
        ("toy.onnx", ("--print-trtexec",), "print_trtexec does not go with triton"),
        ("toy.onnx", ("--builder", "tensorrt", "--batch", "2:4:8"), "batch=2:4:8: Triton may call with one row"),
        ("toy.onnx", ("--builder", "tensorrt", "--batch", "1:4:8", "--max-batch", "4"), "contradicts batch=1:4:8"),
        ("toy.onnx", ("--version", "0"), "version=0 is not allowed"),
        ("rtx.sm89.engine", (), "is an engine of tensorrt-rtx and tensorrt cannot load it"),
        ("cut.sm89.engine", (), "has 3 bytes and"),
        ("good.sm89.engine", ("--max-batch", "9"), "takes 8 rows at most; build it for more with --batch"),
        ("good.sm89.engine", ("--workspace", "64"), "is served as it is"),
        ("gone.sm89.engine", (), "no such file"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    file: str,
    arguments: tuple[str, ...],
    words: str,
    toy: Toy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builders, "compute_capability", lambda: (8, 9))
    for name, builder in (("toy", "tensorrt"), ("rtx", "tensorrt-rtx"), ("cut", "tensorrt"), ("good", "tensorrt")):
        write_engine(toy(f"{name}.onnx", batch="batch", conditions=(LABELS,)), builder, (1, 4, 8))
    (tmp_path / "cut.sm89.engine").write_bytes(b"cut")
    before = sorted(tmp_path.rglob("*"))
    assert build(tmp_path / file, "--triton", tmp_path / "models", *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("option", [("--name", "x"), ("--version", "2"), ("--max-batch", "2"), ("--force",)])
def test_options_of_a_repository_need_one(
    option: tuple[str, ...], toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(toy(), "--target", "sm89", *option) == 2
    assert "is for --triton; give that too, or leave it out" in capsys.readouterr().err


def test_build_and_triton_write_the_same_model(toy: Toy) -> None:
    graph = toy(batch="batch", slices=2, conditions=(LABELS,))
    one, other = graph.parent / "one", graph.parent / "other"
    assert build(graph, "--triton", one) == 0
    assert main(["triton", str(graph), "--repository", str(other)], program="samplegraph") == 0
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert all((one / file).read_bytes() == (other / file).read_bytes() for file in files)
