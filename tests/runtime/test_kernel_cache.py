"""Kernels that TensorRT-RTX compiled are kept for the next start: on stand-ins for CUDA and TensorRT."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_cuda import FakeCuda
from fake_tensorrt import fake_tensorrt, write_engine

from samplegraph.runtime import Engine, InputError, read_manifest
from samplegraph.runtime.kept_files import VARIABLE, KeptFiles
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.provider_choice import with_options

Toy = Callable[..., Path]


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both libraries, on a GPU of sm89."""
    cuda = FakeCuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    module = fake_tensorrt(cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", module)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(path: Path, samples: int = 1, **options: Any) -> Engine:
    """A start, and two calls."""
    engine = Engine(path, **options)
    for _ in range(2):
        engine(seed=list(range(samples)), class_labels=1)
    return engine


def test_the_second_start_compiles_nothing(toy: Toy, trt: Any, folder: Path) -> None:
    engine = write_engine(toy(batch="batch"), "tensorrt-rtx", (1, 1, 4))
    for samples, compiled in ((1, 1), (1, 1), (3, 2), (1, 2), (3, 2)):
        assert run(engine, samples).notes == ()
        assert trt.calls["compile"] == compiled
    (file,) = folder.iterdir()
    made = read_manifest(engine).engine
    assert made is not None
    assert file.name == f"{made.sha256}.kernels"


def test_kernels_are_written_once_per_shape(
    toy: Toy, trt: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    write = KeptFiles.write
    monkeypatch.setattr(KeptFiles, "write", lambda self, key, data: (written.append(data), write(self, key, data)))
    engine = Engine(write_engine(toy(batch="batch"), "tensorrt-rtx", (1, 1, 4)))
    for samples in (1, 2, 1, 2, 1, 2):
        engine(seed=list(range(samples)), class_labels=1)
    assert (trt.calls["serialize"], len(written)) == (2, 2)
    assert len(set(written)) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: data[:-1] + b"?", lambda data: b""])
def test_damaged_kernels_are_compiled_again(
    damage: Callable[[bytes], bytes], toy: Toy, trt: Any, folder: Path
) -> None:
    engine = write_engine(toy(), "tensorrt-rtx")
    run(engine)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert run(engine).notes == ()
    assert trt.calls["compile"] == 2
    assert file.read_bytes() == whole


def test_kernels_of_another_driver_are_replaced_and_that_is_said(toy: Toy, trt: Any, folder: Path) -> None:
    engine = write_engine(toy(), "tensorrt-rtx")
    run(engine)
    trt.driver = "590"
    (note,) = run(engine).notes
    (file,) = folder.iterdir()
    assert note == f"{file}: is of another GPU, driver or version, so its kernels are compiled again"
    assert run(engine).notes == ()
    assert trt.calls["compile"] == 2


@pytest.mark.parametrize("how", ["False", "no folder", "file in the way", "no cache", "tensorrt"])
def test_where_none_can_be_kept_all_else_works(
    how: str, toy: Toy, trt: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = write_engine(toy(), "tensorrt" if how == "tensorrt" else "tensorrt-rtx")
    if how == "no folder":
        monkeypatch.setenv(VARIABLE, "")
    if how == "file in the way":
        folder.write_text("")
    if how == "no cache":
        trt.fails.add("cache")
    for _ in range(2):
        assert run(engine, kernel_cache=how != "False").notes == ()
    assert not folder.is_dir()
    assert trt.calls["compile"] == 2


def test_a_folder_of_ones_own(toy: Toy, trt: Any, folder: Path, tmp_path: Path) -> None:
    engine = write_engine(toy(), "tensorrt-rtx")
    for _ in range(2):
        run(engine, kernel_cache=tmp_path / "mine")
    assert trt.calls["compile"] == 1
    assert [file.suffix for file in (tmp_path / "mine").iterdir()] == [".kernels"]
    assert not folder.exists()
    with pytest.raises(InputError, match=r"kernel_cache='.*engine' is a file; give a folder, or False to keep"):
        Engine(engine, kernel_cache=engine)


def test_the_provider_of_onnx_runtime_is_told_a_folder(tmp_path: Path) -> None:
    rtx = "NvTensorRTRTXExecutionProvider"
    ((_, options),) = with_options([rtx], True, False, Notes(), tmp_path / "x")
    assert options == {"nv_runtime_cache_path": str(tmp_path / "x" / "onnxruntime")}
    assert (tmp_path / "x" / "onnxruntime").is_dir()
    own = {"nv_runtime_cache_path": "elsewhere"}
    assert with_options([(rtx, own)], True, False, Notes(), tmp_path / "x") == [(rtx, own)]
    assert with_options([rtx], True, False, Notes()) == [(rtx, {})]
    assert with_options(["CUDAExecutionProvider"], True, False, Notes(), tmp_path) == [
        ("CUDAExecutionProvider", {"use_tf32": "1"})
    ]
