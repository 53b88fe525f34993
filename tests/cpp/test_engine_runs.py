"""Engine files in samplegraph-run, on doubles of NVIDIA's libraries; the real ones as far as they go without a GPU."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.engine_file import check_engine
from samplegraph.runtime.manifest import EngineInfo, Manifest
from samplegraph.runtime.manifest_file import read_manifest, sidecar

Toy = Callable[..., Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
CPP = Path(__file__).parents[2] / "runtime" / "cpp"


@pytest.fixture
def doubles(built: Path) -> dict[str, str]:
    """The environment in which the doubles are found."""
    folder = str(built / "tests" / "doubles")
    return dict.fromkeys(("SAMPLEGRAPH_TENSORRT", "SAMPLEGRAPH_TENSORRT_RTX", "SAMPLEGRAPH_CUDA"), folder)


def engine_of(graph: Path, builder: str = "tensorrt-rtx", version: str = "1.7.1.116") -> Path:
    """An engine of the doubles, which runs ``graph``, and its sidecar."""
    manifest, content = read_manifest(graph), f"double {graph}".encode()
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()
    weights = manifest.weights.sha256
    made = EngineInfo(hashlib.sha256(content).hexdigest(), len(content), digest, weights, builder, version, "sm89")
    path = graph.with_suffix(".sm89.engine")
    path.write_bytes(content)
    sidecar(path).write_text(replace(manifest, engine=made).to_json())
    return path


def test_an_engine_runs_as_its_graph(toy: Toy, run_cli: Run, doubles: dict[str, str], tmp_path: Path) -> None:
    graph = toy(batch=2, slices=2)
    arguments = ("--seed", "3", "--set", "class_labels=3,1,4", "-o", tmp_path / "out.npy")
    for builder, version in (("tensorrt-rtx", "1.7.1.116"), ("tensorrt", "11.1.0.106")):
        done = run_cli(engine_of(graph, builder, version), *arguments, **doubles)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f" s by {builder}\n")
        assert done.stderr == ""
        assert np.load(tmp_path / "out.npy").tobytes() == Engine(graph)(seed=3, class_labels=[3, 1, 4]).tobytes()
    engine = engine_of(graph, "tensorrt", "11.1.0.106")
    told = run_cli(engine, *arguments, **doubles, DOUBLE_FAIL="cudaStreamEndCapture=901")
    assert told.stderr.startswith("note: no CUDA graph: the GPU cannot capture it")


def test_describe_reads_the_sidecar(toy: Toy, run_cli: Run) -> None:
    engine = engine_of(toy())
    done = run_cli(engine, "--describe")
    assert done.returncode == 0, done.stderr
    for words in ("toy-ddim-3", "engine", "sm89", "tensorrt-rtx 1.7.1.116"):
        assert words in done.stdout
    assert Manifest.from_json(run_cli(engine, "--describe", "--json").stdout) == read_manifest(engine)


def damaged(engine: Path, change: str) -> None:
    manifest = read_manifest(engine)
    assert manifest.engine is not None
    if change == "bytes":
        engine.write_bytes(b"x" * engine.stat().st_size)
    elif change == "cut":
        engine.write_bytes(engine.read_bytes()[:-1])
    elif change == "graph":
        engine.with_suffix("").with_suffix(".onnx").write_bytes(b"another")
    elif change == "weights":
        described = replace(manifest, weights=replace(manifest.weights, sha256="1" * 64))
        sidecar(engine).write_text(described.to_json())
    elif change == "no engine":
        sidecar(engine).write_text(replace(manifest, engine=None).to_json())
    elif change == "no sidecar":
        sidecar(engine).unlink()
    else:
        other = {"target": "sm120", "builder_version": "1.6.0.0"}[change]
        described = replace(manifest, engine=replace(manifest.engine, **{change: other}))
        sidecar(engine).write_text(described.to_json())


CHANGES = ("bytes", "cut", "graph", "weights", "no engine", "no sidecar", "target", "builder_version")


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_fit_is_refused_in_the_words_of_python(
    toy: Toy, run_cli: Run, doubles: dict[str, str], change: str
) -> None:
    graph = toy()
    engine = engine_of(graph)
    damaged(engine, change)
    done = run_cli(engine, "--set", "class_labels=1", **doubles)
    with pytest.raises(InputError) as python:
        check_engine(engine, "tensorrt-rtx", "1.7.1.116", (8, 9), graph)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {python.value}\n")


def test_the_real_libraries_without_a_gpu_are_one_line(toy: Toy, run_cli: Run) -> None:
    found = importlib.util.find_spec("tensorrt_rtx_libs")
    if found is None or found.origin is None:
        pytest.skip("no tensorrt-rtx")
    cuda = Path("/usr/local/cuda/lib64")
    if not (cuda / "libcudart.so").exists():
        pytest.skip("no CUDA runtime")
    version = importlib.metadata.version("tensorrt-rtx")
    folders = {"SAMPLEGRAPH_TENSORRT_RTX": str(Path(found.origin).parent), "SAMPLEGRAPH_CUDA": str(cuda)}
    graph = toy()
    done = run_cli(engine_of(graph, version="1.0.0.0"), "--set", "class_labels=1", **folders)
    assert done.returncode == 2
    assert f"was built by tensorrt-rtx 1.0.0.0 and {version} is installed; install that version" in done.stderr
    assert done.stderr.count("\n") == 1
    done = run_cli(engine_of(graph, version=version), "--set", "class_labels=1", **folders)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no NVIDIA GPU can be used here (" in done.stderr or "was built for sm89 and this GPU is" in done.stderr or (
        "tensorrt-rtx cannot load it (" in done.stderr
    )


def test_our_declarations_are_those_of_nvidias_header() -> None:
    folder = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "include"
    compiler = shutil.which("c++")
    if compiler is None or not (folder / "cuda_runtime_api.h").is_file():
        pytest.skip("no compiler, or no CUDA toolkit")
    source = CPP / "tests" / "cuda_declarations.cpp"
    options = ["-std=c++17", "-fsyntax-only", "-Werror", f"-I{CPP / 'src'}", "-isystem", str(folder)]
    command = [compiler, *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
