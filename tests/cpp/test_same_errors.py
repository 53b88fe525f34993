"""One bad call, two runtimes, one text."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binding import NativeEngine, SamplegraphError
from both import refused

from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import GuidancePlan, Tensor

Toy = Callable[..., Path]
NAN, INF = float("nan"), float("inf")
NOISE, STEPS = np.zeros((3, 1, 4, 4)), np.zeros((2, 3, 1, 4, 4))
OK: dict[str, Any] = {"seed": 0, "class_labels": 1}
OWN: dict[str, Any] = {"noise": NOISE, "step_noise": STEPS, "class_labels": 1}

CASES: list[dict[str, Any]] = [
    {"seed": 0},
    {**OK, "class_label": 1},
    {**OK, "sample": 1},
    {**OK, "class_labels": 42},
    {**OK, "class_labels": [0, 1, -1]},
    {**OK, "class_labels": [[0, 1, -1]]},
    {**OK, "class_labels": 1.0},
    {**OK, "class_labels": [1.5, 2]},
    {**OK, "class_labels": [1.5, 2, 3, 4, 5]},
    {**OK, "class_labels": [1 / 3, 2 / 3, 1e20, 1e-7]},
    {**OK, "class_labels": True},
    {**OK, "class_labels": np.array([2**63], np.uint64)},
    {**OK, "class_labels": [[1, 2]]},
    {**OK, "class_labels": []},
    {**OK, "class_labels": np.zeros((0, 3), np.int64)},
    {**OK, "guidance_scale": NAN},
    {**OK, "guidance_scale": -INF},
    {**OK, "guidance_scale": 1e300},
    {**OK, "guidance_scale": [1.0, 2.0]},
    {**OK, "guidance_scale": True},
    {"class_labels": 1},
    {**OK, "seed": [0, 1], "class_labels": [1, 2, 3]},
    {**OK, "seed": [0], "samples": 3},
    {**OK, "samples": -2},
    {**OWN, "seed": 0},
    {**OWN, "seed": [3, 4]},
    {**OK, "step_noise": STEPS},
    {"noise": NOISE, "class_labels": 1},
    {"step_noise": STEPS, "class_labels": 1},
    {**OWN, "noise": NOISE[:2]},
    {**OWN, "noise": NOISE[0]},
    {**OWN, "noise": NOISE[..., :3]},
    {**OWN, "noise": NOISE.astype(bool)},
    {**OWN, "noise": np.where(np.arange(4) == 2, NAN, NOISE)},
    {**OWN, "noise": np.where(np.arange(4) == 3, 1e300, NOISE)},
    {**OWN, "step_noise": STEPS[:1]},
    {**OWN, "step_noise": STEPS + INF},
    {**OWN, "class_labels": [1, 2]},
]


INVERSE: list[dict[str, Any]] = [
    {"samples": -1},
    {"seed": 0, "noise": NOISE},
    {"seed": [0, 1, 2], "noise": NOISE},
    {"noise": NOISE, "step_noise": STEPS},
    {"noise": NOISE[:0]},
    {"seed": 0, "step_noise": STEPS},
    {"seed": [0, 1], "samples": 3},
    {"step_noise": STEPS[:1]},
    {"step_noise": STEPS},
    {"step_noise": STEPS[0]},
    {"step_noise": STEPS + INF},
]


def texts(library: ctypes.CDLL, onnxruntime: Path, path: Path, arguments: dict[str, Any]) -> tuple[str, str]:
    """What Python says, and what C++ says."""
    with pytest.raises(InputError) as python:
        Engine(path)(**arguments)
    with NativeEngine(library, path, onnxruntime) as native, pytest.raises(SamplegraphError) as cpp:
        native(**arguments)
    assert cpp.value.code == 1
    return str(python.value), str(cpp.value)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("batch", [2, "batch"])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_bad_call(toy: Toy, library: ctypes.CDLL, onnxruntime: Path, batch: int | str, number: int) -> None:
    python, cpp = texts(library, onnxruntime, toy(batch=batch, slices=2), CASES[number])
    assert cpp == python


@pytest.mark.parametrize("slices", [0, 2])
@pytest.mark.parametrize("number", range(len(INVERSE)))
def test_bad_call_of_an_inversion(toy: Toy, library: ctypes.CDLL, onnxruntime: Path, slices: int, number: int) -> None:
    """With draws in its steps, and with none."""
    given = {"init_sample": NOISE[:2], "class_labels": 1, **INVERSE[number]}
    python, cpp = texts(library, onnxruntime, toy(slices=slices, start="init_sample"), given)
    assert cpp == python


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (Tensor("prompt", "float16", ("B", 2), "condition"), [1.0, 70000.0]),
        (Tensor("flag", "bool", ("B",), "condition"), 1),
        (Tensor("k", "int32", ("B",), "condition"), 2**31),
        (Tensor("w", "float32", ("B",), "condition", minimum=0), [0.25, -7.0]),
        (Tensor("w", "float32", ("B",), "condition", maximum=1), [0.25, 7.0]),
        (Tensor("w", "float32", ("B",), "condition", minimum=0, maximum=0.1), [0.1, 0.2]),
        (Tensor("w", "float16", ("B",), "condition", minimum=0, maximum=0.1), [0.1, 0.3]),
        (Tensor("w", "int64", ("B",), "condition", minimum=0.5), [1, 0]),
        (Tensor("w", "float32", (), "condition", default=3.0), [1.0]),
        (Tensor("mask", "float32", ("B", 1, 2), "mask", minimum=0, maximum=1), [[[0.5, 1.5]]]),
        (Tensor("mask", "float32", ("B", 1, 2), "mask", minimum=0, maximum=1), None),
        (Tensor("mask", "float32", ("B", 1, 2), "mask", minimum=0, maximum=1), [[[0.5, -0.5]]]),
        (Tensor("mask", "float32", ("B", 1, 2), "mask", minimum=0, maximum=1), [[[0.5, 1.0, 1.0]]]),
        (Tensor("image", "float32", ("B", 1, 2), "image"), [[[0.5, NAN]]]),
        (Tensor("init_sample", "float32", ("B", 1, 2), "init_sample"), [[[0.5, NAN]]]),
        (Tensor("init_sample", "float32", ("B", 1, 2), "init_sample"), [[[0.5, 0.0], [0.5, 0.0]]]),
        (Tensor("init_sample", "float32", ("B", 1, 2), "init_sample"), None),
        (Tensor("w", "float32", ("B", "words"), "condition", default=3.0), None),
    ],
)
def test_other_dtypes_and_limits(
    toy: Toy, library: ctypes.CDLL, onnxruntime: Path, tensor: Tensor, value: object
) -> None:
    given = {} if value is None else {tensor.name: value}
    python, cpp = texts(library, onnxruntime, toy(conditions=(tensor,)), {"seed": 0, **given})
    assert cpp == python


def test_step_noise_and_guidance_that_the_graph_has_not(toy: Toy, library: ctypes.CDLL, onnxruntime: Path) -> None:
    python, cpp = texts(library, onnxruntime, toy(), OWN)
    assert cpp == python
    for plan in (None, GuidancePlan("per_step", None, ("class_labels",), (1.0, 2.0, None), "sigma:0.3,5.0", 0.7)):
        graph = toy(conditions=(), guidance=plan)
        python, cpp = texts(library, onnxruntime, graph, {"seed": 0, "guidance_scale": 3})
        assert cpp == python


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"Hello, world, this is text.",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"\xff" * 20,
        lambda data: data.replace(b"samplegraph.manifest", b"samplegraph.Manifest"),
        lambda data: data.replace(b'"format_version": 1', b'"format_version": 7'),
        lambda data: data.replace(b'"format_version": 1', b'"format_version": 0'),
        lambda data: data.replace(b'"format": "samplegraph"', b'"format": "somplegraph"'),
        lambda data: data.replace(b'"Mul"', b'"Mux"').replace(b"Mul", b"Mux"),
    ],
)
def test_bad_file(
    toy: Toy, library: ctypes.CDLL, onnxruntime: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(damage(toy().read_bytes()))
    refused(library, path, onnxruntime)


def test_a_layout_that_is_not_driven(toy: Toy, library: ctypes.CDLL, onnxruntime: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(toy().read_bytes().replace(b'"layout": "unrolled"', b'"layout": "knitted_"'))
    assert "layout 'knitted_' is not one this runtime drives (unrolled, " in refused(library, path, onnxruntime)


def test_missing_file(library: ctypes.CDLL, onnxruntime: Path, tmp_path: Path) -> None:
    for name in ("no.onnx", "no.engine", "no.onnx.json"):
        with pytest.raises(InputError) as python:
            Engine(tmp_path / name)
        with pytest.raises(SamplegraphError) as cpp:
            NativeEngine(library, tmp_path / name, onnxruntime)
        assert str(cpp.value) == str(python.value)
