"""The GPU script: rehearsed on the CPU, its GPU's side on stand-ins, and as it is where there is a GPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_cuda import FakeCuda
from fake_tensorrt import fake_tensorrt, write_engine

from samplegraph.export.engine import builders, device
from samplegraph.runtime.manifest_file import sidecar

ROOT = Path(__file__).parents[1]
NEED_A_GPU = {"compiled-graph", "ort-graph", "trt", "trt-graph", "rtx", "rtx-graph", "runtime-trt", "runtime-rtx"}
QUICK = ("--models", "tiny", "--repeats", "2", "--warmup", "1", "--compile-backend", "eager")


@pytest.fixture(scope="module")
def gpu() -> Any:
    """The script as a module."""
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import gpu

        return gpu
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def prepared(gpu: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny DiT, light."""
    folder = Path(tmp_path_factory.mktemp("graphs"))
    assert gpu.main(["--prepare", str(folder), "--light", "--models", "tiny"]) == 0
    return folder


@pytest.fixture
def graphs(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(prepared, tmp_path / "graphs"))


def job(gpu: Any, folder: Path, model: str = "tiny", precision: str = "fp32") -> Any:
    return gpu.Job(model, gpu.MODELS[model][0], precision, folder)


def test_a_rehearsal_measures_all_that_needs_no_gpu(
    gpu: Any, graphs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "compute_capability", lambda: None)
    output = tmp_path / "x.json"
    assert gpu.main(["--graphs", str(graphs), "--device", "cpu", "--output", str(output), *QUICK]) == 0
    records = {record["route"]: record for record in json.loads(output.read_text())["records"]}
    assert set(records) == set(gpu.ROUTES)
    assert {name for name, record in records.items() if "ms" not in record} == NEED_A_GPU
    assert {record["absent"] for record in records.values() if "ms" not in record} == {"needs a GPU"}
    for name in set(records) - NEED_A_GPU:
        record = records[name]
        assert record["final"]["error"] < 1e-5
        assert record["quartiles_ms"][0] <= record["ms"] <= record["quartiles_ms"][1]
    assert records["ort"]["each_step"]["count"] == 2
    assert records["ort"]["each_step"]["passed"]
    assert capsys.readouterr().out.count("tiny fp32, 2 steps: ") == len(records)


def test_a_plain_checkout_without_the_compiler_suffices(graphs: Path, tmp_path: Path) -> None:
    """Not installed, no onnx, no diffusers; the weights are drawn again."""
    for name in ("onnx", "onnx_ir", "onnxscript", "diffusers", "safetensors", "rich"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r}, name={name!r})")
    site = Path(np.__file__).parents[1]
    command = [sys.executable, "-S", str(ROOT / "benchmarks" / "gpu.py"), "--graphs", str(graphs), "--device", "cpu"]
    command += ["--routes", "torch,ort-host,ort,runtime", "--output", str(tmp_path / "x.json"), *QUICK]
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{site}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    records = json.loads((tmp_path / "x.json").read_text())["records"]
    assert [record["final"]["passed"] for record in records] == [True] * 4, done.stdout


def test_light_leaves_every_random_weight_out(gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float16 too, where parts of weights are in no checkpoint; what is no part of one is kept."""
    whole, options = tmp_path / "whole", ("--models", "tiny", "--precision", "fp16", "--no-reference")
    assert gpu.main(["--prepare", str(whole), *options]) == 0
    tensors = json.loads((whole / "tiny-fp16.safetensors.recipe").read_text())["tensors"]
    names = sorted(file.name for file in whole.iterdir() if file.suffix in (".bin", ".safetensors"))
    assert len(names) == 2
    for found in (True, False):
        if not found:
            monkeypatch.setattr(gpu, "rows_of", lambda *_: None)
        light = Path(shutil.copytree(whole, tmp_path / f"light-{found}"))
        gpu.left_out(job(gpu, light, precision="fp16"), tensors)
        assert not {*names} & {file.name for file in light.iterdir()}
        assert [file.name for file in light.glob("*.rest")] == ([] if found else [f"{names[1]}.rest"])
        gpu.draw_again(light)
        assert all((light / name).read_bytes() == (whole / name).read_bytes() for name in names)


def test_what_is_far_from_the_cpu_fails(gpu: Any, graphs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = graphs / f"{job(gpu, graphs).stem}.npz"
    with np.load(file) as table:
        changed = {**table, "samples": table["samples"] * [[[[[1.1]]]], [[[[1.0]]]]]}
    np.savez(file, **changed)
    options = ("--graphs", str(graphs), "--device", "cpu", "--routes", "ort,runtime", *QUICK)
    assert gpu.main([*options]) == 1
    assert "whole graph" in next(line for line in capsys.readouterr().out.splitlines() if "TOO FAR" in line)


@pytest.mark.parametrize(
    ("precision", "wrong", "passes"),
    [("fp32", 5e-4, True), ("fp32", 2e-3, False), ("fp16", 2e-3, True), ("fp16", 0.1, False)],
)
def test_the_bars_are_those_of_the_precision(gpu: Any, precision: str, wrong: float, passes: bool) -> None:
    one = np.random.default_rng(0).standard_normal((2, 64))
    other = one + wrong * np.abs(one).max() * np.sign(np.random.default_rng(1).standard_normal((2, 64)))
    assert gpu.compared(job(gpu, Path(), precision=precision), other, one)["passed"] == passes
    assert not gpu.compared(job(gpu, Path(), precision=precision), one * np.nan, one)["passed"]


def test_weights_that_come_out_otherwise_are_refused(
    gpu: Any, graphs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recipe,) = graphs.glob("*.recipe")
    recipe.write_text(recipe.read_text().replace('"sha256": "', '"sha256": "0'))
    assert gpu.main(["--graphs", str(graphs), "--device", "cpu", "--routes", "ort", *QUICK]) == 0
    assert "tiny-fp32.safetensors cannot be drawn again" in capsys.readouterr().out
    assert not list(graphs.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("model", "dtype"),
    [("digits", None), ("tiny", None), ("tiny", "float16"), pytest.param("unet", "float16", marks=pytest.mark.slow)],
)
def test_all_of_a_loop_is_on_its_device(gpu: Any, model: str, dtype: str | None) -> None:
    """Tensors of the device ``meta`` do not mix with the CPU's, as a GPU's do not."""
    torch = pytest.importorskip("torch")
    from benchmarks.models import CASES

    case, sampler = CASES[model], gpu.sampler_of(job(gpu, Path(), model), "meta", dtype)
    conditions = {name: torch.from_numpy(value).to("meta") for name, value in case.conditions.items()}
    scale = torch.tensor(2.0, device="meta")
    found = sampler(torch.zeros(1, *case.shape, device="meta"), None, guidance_scale=scale, **conditions)
    assert (found.device.type, found.dtype) == ("meta", torch.float32)


class TimedCuda(FakeCuda):
    """With events: 1.5 ms for each run of an engine that was begun between them."""

    begun: Any = None

    def cudaEventCreate(self) -> tuple[int, SimpleNamespace]:
        return 0, SimpleNamespace(at=None)

    def cudaEventRecord(self, event: SimpleNamespace, stream: int) -> tuple[int]:
        assert stream == 7
        event.at = self.begun["execute"]
        return (0,)

    def cudaEventSynchronize(self, event: SimpleNamespace) -> tuple[int]:
        return self.cudaStreamSynchronize(7)

    def cudaEventElapsedTime(self, start: SimpleNamespace, end: SimpleNamespace) -> tuple[int, float]:
        return 0, 1.5 * (end.at - start.at)

    def cudaEventDestroy(self, event: SimpleNamespace) -> tuple[int]:
        return (0,)


def test_engines_are_bound_captured_and_timed_by_events(
    gpu: Any, graphs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stand-ins for cuda-python and TensorRT-RTX, which compute with ONNX Runtime; without torch's GPU."""
    cuda = TimedCuda()
    module = fake_tensorrt(cuda)
    cuda.begun = module.calls
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", module)
    for place in (device, builders):
        monkeypatch.setattr(place, "compute_capability", lambda: (8, 9))
    gpu.draw_again(graphs)
    monkeypatch.chdir(graphs)  # where ONNX Runtime looks for the weights of a graph in memory
    own = job(gpu, graphs)
    for graph in (own.graph, own.every_step):
        made = write_engine(graph, "tensorrt-rtx")
        target = graph.with_name(f"{graph.name.removesuffix('.onnx')}.sm89.tensorrt-rtx.engine")
        sidecar(made).rename(sidecar(target))
        made.rename(target)
    routes = "rtx,rtx-graph,runtime-rtx"
    arguments = ["--graphs", str(graphs), "--routes", routes, "--output", str(tmp_path / "x.json"), *QUICK]
    assert gpu.main(arguments) == 0, capsys.readouterr().out
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["machine"]["target"] == "sm89"
    plain, graph, runtime = found["records"]
    assert plain["ms"] == graph["ms"] == 1.5
    assert plain["each_step"]["passed"]
    assert plain["each_step"]["count"] == 2
    assert all(record["final"]["error"] < 1e-5 for record in (plain, graph, runtime))
    assert runtime["clock"] == "host"
    assert {context.config.cuda_graph_strategy for context in module.made} == {"whole", "disabled"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--models", "gan"), "'gan' is not one of digits"),
        (("--graphs", "nowhere", "--models", "tiny"), "tiny-ddim-2.onnx is missing; write it with --prepare nowhere"),
    ],
)
def test_bad_input_is_refused_before_anything_is_measured(
    gpu: Any, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = gpu.main(list(arguments))
    except SystemExit as error:
        code = error.code
    assert code == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


def test_a_gpu_that_is_asked_for_has_to_be_there(
    gpu: Any, graphs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", FakeCuda(devices=0))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.main(["--graphs", str(graphs), "--device", "cuda", *QUICK]) == 2
    assert "no GPU: torch sees no GPU; no NVIDIA GPU can be used here" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(device.compute_capability() is None, reason="needs an NVIDIA GPU and its driver")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_on_a_gpu_all_that_is_there_agrees_with_the_cpu(gpu: Any, tmp_path: Path, precision: str) -> None:
    output = tmp_path / "x.json"
    options = ["--models", "digits,tiny", "--precision", precision, "--repeats", "3", "--device", "cuda"]
    assert gpu.main([*options, "--output", str(output)]) == 0
    records = json.loads(output.read_text())["records"]
    assert [record for record in records if record["route"] == "torch" and "ms" not in record] == []
