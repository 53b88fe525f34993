"""Graphs optimised offline, in the C++ runtime: the Python runtime's bits, and its refusals word for word."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from binding import NativeEngine, SamplegraphError

from samplegraph.export import compile
from samplegraph.export.offline import TARGETS, optimize
from samplegraph.models import Sampler
from samplegraph.models.digits import digits
from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import METADATA_KEY, Manifest
from samplegraph.schedulers import create


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sampler = Sampler(digits(), create("ddim", 3))
    return compile(sampler, weights="external").save(tmp_path_factory.mktemp("optimised") / "x.onnx")


def with_optimized(path: Path, **changes: Any) -> Path:
    """A copy of the graph whose manifest says something else of what it was optimised for."""
    model = onnx.load(path, load_external_data=False)
    manifest = Manifest.from_json(model.metadata_props[0].value)
    assert manifest.optimized_for is not None
    changed = replace(manifest, optimized_for=replace(manifest.optimized_for, **changes))
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: changed.to_json()})
    other = path.with_name(f"changed-{path.name}")
    other.write_bytes(model.SerializeToString())
    return other


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
