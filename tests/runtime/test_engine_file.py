"""Engine files against their sidecars: what fits is taken, each mismatch is refused with a sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from samplegraph.export.cli import main
from samplegraph.runtime import Engine, InputError, read_manifest
from samplegraph.runtime.engine_file import check_engine
from samplegraph.runtime.manifest import EngineInfo, Manifest
from samplegraph.runtime.manifest_file import sidecar

BYTES = b"an engine"
HERE = {"builder": "tensorrt-rtx", "version": "1.7.1.116", "compute_capability": (8, 9)}


@pytest.fixture
def engine(toy: Callable[..., Path]) -> Path:
    """An engine file of nothing in particular with the sidecar that belongs to it."""
    graph = toy()
    file = graph.with_suffix(".sm89.engine")
    file.write_bytes(BYTES)
    manifest = read_manifest(graph)
    digest, of = (hashlib.sha256(data).hexdigest() for data in (BYTES, graph.read_bytes()))
    made = EngineInfo(
        digest, len(BYTES), of, manifest.weights.sha256, "tensorrt-rtx", "1.7.1.116", "sm89", (1, 4, 8)
    )
    sidecar(file).write_text(replace(manifest, engine=made).to_json(), encoding="utf-8")
    return file


def test_an_engine_that_fits_is_taken(engine: Path) -> None:
    manifest = check_engine(engine, **HERE, graph=engine.with_name("toy-ddim-3.onnx"))  # type: ignore[arg-type]
    assert manifest.engine is not None
    assert manifest.engine.batch == (1, 4, 8)
    assert check_engine(engine) == manifest == Manifest.from_json(manifest.to_json())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"builder": "tensorrt"}, "is an engine of tensorrt-rtx and tensorrt cannot load it"),
        ({"version": "1.8.0.1"}, "was built by tensorrt-rtx 1.7.1.116 and 1.8.0.1 is installed"),
        ({"compute_capability": (12, 0)}, "was built for sm89 and this GPU is sm120; build it with --target sm120"),
    ],
)
def test_another_machine_is_refused(engine: Path, other: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_engine(engine, **{**HERE, **other})


@pytest.mark.parametrize(
    ("version", "loads"), [("1.7.1.116", True), ("1.8.0.1", True), ("1.7.0.9", False), ("2.0.0.1", False)]
)
def test_later_versions_take_an_engine_that_says_so(engine: Path, version: str, loads: bool) -> None:
    manifest = read_manifest(engine)
    assert manifest.engine is not None
    made = replace(manifest, engine=replace(manifest.engine, version_compatible=True))
    sidecar(engine).write_text(made.to_json(), encoding="utf-8")
    if loads:
        assert check_engine(engine, version=version) == made
    else:
        with pytest.raises(InputError, match=f"was built by tensorrt-rtx 1.7.1.116 and {version} is installed"):
            check_engine(engine, version=version)


def test_inspect_looks_at_the_engine_too(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(engine)], program="samplegraph") == 0
    engine.write_bytes(BYTES[::-1])
    assert main(["inspect", str(engine)], program="samplegraph") == 2
    assert "its bytes are not those that its sidecar names" in capsys.readouterr().err


def test_another_graph_is_refused(engine: Path) -> None:
    graph = engine.with_name("toy-ddim-3.onnx")
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"was not built from .* as it is now; build it again"):
        check_engine(engine, graph=graph)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"an eng", "has 6 bytes and 9 were written; copy it again"),
        (b"AN ENGINE", "its bytes are not those that its sidecar names"),
        (None, "no such file"),
    ],
)
def test_a_damaged_engine_is_refused(engine: Path, data: bytes | None, words: str) -> None:
    engine.unlink() if data is None else engine.write_bytes(data)
    with pytest.raises(InputError, match=words):
        check_engine(engine)


@pytest.mark.parametrize(
    ("field", "value"),
    [("bytes", 0), ("bytes", "9"), ("batch", [1, 2]), ("batch", [4, 2, 1]), ("batch", [0, 1, 1]), ("target", 89)],
)
def test_a_damaged_sidecar_is_refused(engine: Path, field: str, value: object) -> None:
    manifest = read_manifest(engine)
    assert manifest.engine is not None
    text = replace(manifest, engine=replace(manifest.engine, **{field: value})).to_json()
    sidecar(engine).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="the manifest is damaged"):
        check_engine(engine)


def test_a_sidecar_of_a_graph_is_refused(engine: Path) -> None:
    sidecar(engine).write_text(replace(read_manifest(engine), engine=None).to_json(), encoding="utf-8")
    with pytest.raises(InputError, match="describes a graph and no engine"):
        check_engine(engine)


def test_files_that_are_no_engine_are_refused(engine: Path) -> None:
    with pytest.raises(InputError, match="is no engine; give a file that `samplegraph build` wrote"):
        check_engine(engine.with_name("toy-ddim-3.onnx"))
    sidecar(engine).unlink()
    with pytest.raises(InputError, match="keep the sidecar beside"):
        check_engine(engine)


def test_other_weights_are_refused(engine: Path) -> None:
    manifest = read_manifest(engine)
    other = replace(manifest, weights=replace(manifest.weights, sha256="1" * 64))
    sidecar(engine).write_text(other.to_json(), encoding="utf-8")
    with pytest.raises(InputError, match="was built from other weights than its sidecar describes"):
        check_engine(engine)


def test_a_sidecar_is_not_run(engine: Path) -> None:
    with pytest.raises(InputError, match=r"is no graph; give the \.onnx file, or the engine, that it belongs to"):
        Engine(sidecar(engine))
