"""Networks in other precisions, in the C++ runtime: the Python runtime's bits, and its refusal word for word."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from binding import NativeEngine, SamplegraphError

from samplegraph.export import Captures, compile
from samplegraph.models import Sampler
from samplegraph.models.digits import digits
from samplegraph.runtime import Engine, InputError
from samplegraph.schedulers import create


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, captures, sampler = tmp_path_factory.mktemp("precision"), Captures(), Sampler(digits(), create("ddim", 2))
    programs = {p: compile(sampler, captures=captures, precision=p) for p in ("fp16", "bf16", "int8")}
    return {p: program.save(folder / f"{p}.onnx") for p, program in programs.items()}


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_same_bits(library: ctypes.CDLL, onnxruntime: Path, saved: dict[str, Path], precision: str) -> None:
    with NativeEngine(library, saved[precision], onnxruntime) as native:
        ours = native(seed=0, class_labels=[3, 1])
    assert ours.tobytes() == Engine(saved[precision])(seed=0, class_labels=[3, 1]).tobytes()


def test_bfloat16_is_refused_alike(library: ctypes.CDLL, onnxruntime: Path, saved: dict[str, Path]) -> None:
    with pytest.raises(InputError) as python:
        Engine(saved["bf16"])
    with pytest.raises(SamplegraphError) as cpp:
        NativeEngine(library, saved["bf16"], onnxruntime)
    assert str(cpp.value) == str(python.value)
