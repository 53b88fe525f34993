"""ONNX Runtime's GPU providers, on stand-ins that run on the CPU: bound tensors, CUDA graphs, and ``auto``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from fake_cuda import FakeCuda
from fake_providers import GPU, FakeProviders

from samplegraph.runtime import Engine, InputError

Toy = Callable[..., Path]


@pytest.fixture
def plain(toy: Toy) -> Callable[..., np.ndarray]:
    """What the CPU's provider gives for a graph of any batch and one slice."""
    return Engine(toy("plain.onnx", batch="batch", slices=1)).__call__


@pytest.fixture
def runtime(plain: Any, monkeypatch: pytest.MonkeyPatch) -> FakeProviders:
    return FakeProviders(monkeypatch)


@pytest.fixture
def cuda(runtime: FakeProviders, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    found = FakeCuda()
    runtime.waiting = lambda: len(found.queue)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", found)
    return found


def graph(toy: Toy, batch: int | str = "batch") -> Path:
    return toy(batch=batch, slices=1)


@pytest.mark.parametrize("provider", list(GPU))
def test_tensors_are_bound_once_per_batch(
    toy: Toy, plain: Any, runtime: FakeProviders, cuda: FakeCuda, provider: str
) -> None:
    engine = Engine(graph(toy), providers=[provider, "cpu"])
    assert engine.providers == (f"{GPU[provider]}ExecutionProvider", "CPUExecutionProvider")
    for samples in (1, 2, 1, 2, 1):
        given = {"seed": list(range(samples)), "class_labels": 3}
        assert np.array_equal(engine(**given), plain(**given))
    assert len(runtime.bindings) == 2
    assert cuda.calls["cudaMalloc"] == 2 * 5
    assert cuda.calls["in"] == 5 * 4


def test_tf32_and_cuda_graphs_are_told(toy: Toy, runtime: FakeProviders, cuda: FakeCuda) -> None:
    path = graph(toy, 1)

    def told(provider: Any, **options: Any) -> Any:
        engine = Engine(path, providers=[provider], **options)
        return *runtime.sessions[-1].told.values(), any("NVIDIA_TF32_OVERRIDE=0" in note for note in engine.notes)

    assert told("cuda") == ({"enable_cuda_graph": "1", "use_tf32": "0"}, False)
    assert told("cuda", tf32=True, cuda_graph=False) == ({"use_tf32": "1"}, False)
    given = {"use_tf32": 1, "device_id": 0}
    assert told(("cuda", given))[0] == {"enable_cuda_graph": "1", **given}
    assert told("tensorrt") == ({"trt_cuda_graph_enable": "1"}, True)
    assert told("nvtensorrtrtx", tf32=True) == ({"enable_cuda_graph": "1"}, False)


def test_another_gpu(toy: Toy, plain: Any, runtime: FakeProviders, cuda: FakeCuda) -> None:
    cuda.devices = 3
    engine = Engine(graph(toy), providers=[("cuda", {"device_id": "2"})])
    assert engine(seed=0, class_labels=1, device_output=True).__dlpack_device__() == (2, 2)
    with pytest.raises(InputError, match=r"device_id='two' is not allowed; give the number of a GPU"):
        Engine(graph(toy), providers=[("cuda", {"device_id": "two"})])


def test_one_cuda_graph_per_batch(toy: Toy, runtime: FakeProviders, cuda: FakeCuda) -> None:
    engine = Engine(graph(toy), providers="cuda")
    for samples in (1, 2, 1, 2):
        engine(seed=list(range(samples)), class_labels=0)
    assert [entries["gpu_graph_id"] for entries in runtime.runs] == ["1", "2", "1", "2"]
    Engine(graph(toy), providers="cuda", cuda_graph=False)(seed=0, class_labels=0)
    assert runtime.runs[-1] == {}
    Engine(graph(toy), providers="tensorrt")(seed=0, class_labels=0)  # which captures one shape only
    assert runtime.runs[-1] == {}


@pytest.mark.parametrize("when", ["load", "run"])
def test_where_onnx_runtime_refuses_cuda_graphs_it_runs_without(
    toy: Toy, plain: Any, runtime: FakeProviders, cuda: FakeCuda, when: str
) -> None:
    runtime.fails_with_graphs = when == "run"
    runtime.refuses = {"enable_cuda_graph"} if when == "load" else set()
    engine = Engine(graph(toy), providers="cuda")
    for seed in range(3):
        assert np.array_equal(engine(seed=seed, class_labels=1), plain(seed=seed, class_labels=1))
    (note,) = engine.notes
    assert note.startswith("no CUDA graph: ")
    assert "\n" not in note
    assert runtime.runs[-1] == ({} if when == "load" else {"gpu_graph_id": "-1"})
    assert len(runtime.runs) == (3 if when == "load" else 4)


def test_without_cuda_python_onnx_runtime_copies(
    toy: Toy, plain: Any, runtime: FakeProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    engine = Engine(graph(toy), providers="cuda")
    assert np.array_equal(engine(seed=0, class_labels=1), plain(seed=0, class_labels=1))
    (note,) = engine.notes
    assert note.startswith("inputs and outputs are copied at every call: cuda-python cannot be imported")
    assert runtime.sessions[-1].told["CUDAExecutionProvider"] == {"use_tf32": "0"}


@pytest.mark.parametrize(
    ("missing", "taken"),
    [
        ((), "nvtensorrtrtx"),
        (("nvtensorrtrtx",), "tensorrt"),
        (("nvtensorrtrtx", "tensorrt"), "cuda"),
        (tuple(GPU), "cpu"),
    ],
)
def test_auto_takes_the_best_that_starts(
    toy: Toy, plain: Any, runtime: FakeProviders, cuda: FakeCuda, missing: tuple[str, ...], taken: str
) -> None:
    runtime.starting -= {f"{GPU[name]}ExecutionProvider" for name in missing}
    engine = Engine(graph(toy, 1), providers="auto", tf32=True)
    assert engine.providers[0].lower() == f"{taken}executionprovider"
    assert np.array_equal(engine(seed=0, class_labels=1), plain(seed=0, class_labels=1))
    assert [note.partition(":")[0] for note in engine.notes] == [f"not {name}" for name in missing]
    assert all("installed but does not start here" in note for note in engine.notes)


def test_auto_is_the_cpu_where_there_is_nothing_else(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["AzureExecutionProvider", "CPUExecutionProvider"])
    engine = Engine(toy(), providers=["auto"])
    assert (engine.providers, engine.notes) == (("CPUExecutionProvider",), ())


def test_auto_says_what_is_wrong_with_the_file(toy: Toy, runtime: FakeProviders, cuda: FakeCuda) -> None:
    path = toy()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="truncated or not an ONNX file"):
        Engine(path, providers="auto")
