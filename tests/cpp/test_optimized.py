"""Graphs optimised offline, in the C++ runtime: the Python runtime's bits, and its refusals word for word."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from binding import NativeEngine, SamplegraphError
from optimized_manifest import with_optimized

from samplegraph.export import compile
from samplegraph.export.offline.optimise import TARGETS, optimize
from samplegraph.models import Sampler
from samplegraph.models.digits import digits
from samplegraph.runtime import Engine, InputError
from samplegraph.schedulers import create


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sampler = Sampler(digits(), create("ddim", 3))
    return compile(sampler, weights="external").save(tmp_path_factory.mktemp("optimised") / "x.onnx")


@pytest.mark.parametrize("prepack", [True, False])
@pytest.mark.parametrize("target", TARGETS)
def test_the_same_bits(library: ctypes.CDLL, onnxruntime: Path, plain: Path, target: str, prepack: bool) -> None:
    path = optimize(plain, target, prepack=prepack)
    with NativeEngine(library, path, onnxruntime) as native:
        ours = native(seed=0, class_labels=[3, 1])
    assert ours.tobytes() == Engine(path)(seed=0, class_labels=[3, 1]).tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"onnxruntime": "99.1.0"},
        {"onnxruntime": "9.99"},
        {"channel_block": 4},
        {"provider": "cuda"},
        {"file": "no.bin"},
    ],
)
def test_the_same_refusals(library: ctypes.CDLL, onnxruntime: Path, plain: Path, changes: dict[str, Any]) -> None:
    path = with_optimized(optimize(plain), **changes)
    with pytest.raises(InputError) as python:
        Engine(path)
    with pytest.raises(SamplegraphError) as cpp:
        NativeEngine(library, path, onnxruntime)
    assert str(cpp.value) == str(python.value)


@pytest.mark.parametrize("changes", [{"channel_block": -1}, {"prepack": 1}, {"provider": None}])
def test_damaged_manifests(library: ctypes.CDLL, onnxruntime: Path, plain: Path, changes: dict[str, Any]) -> None:
    path = with_optimized(optimize(plain), **changes)
    with pytest.raises(InputError, match="manifest is damaged"):
        Engine(path)
    with pytest.raises(SamplegraphError, match="manifest is damaged"):
        NativeEngine(library, path, onnxruntime)
