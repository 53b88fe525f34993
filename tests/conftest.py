"""A toy graph with a manifest, small enough to be checked by hand, for tests that need a file to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from samplegraph.runtime.manifest import (
    METADATA_KEY,
    Evaluation,
    GuidancePlan,
    Manifest,
    Model,
    NoisePlan,
    SchedulerInfo,
    Tables,
    Tensor,
    Weights,
)

os.environ["SAMPLEGRAPH_CACHE"] = ""  # each test captures by itself, and leaves the user's folder alone
LABELS = Tensor("class_labels", "int64", ("B",), "condition", "class", minimum=0, maximum=10)
SCALE = Tensor("guidance_scale", "float32", (), "guidance_scale", "scale", default=2.0)
ONNX_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
}


def toy_manifest(
    batch: int | str = 1,
    shape: tuple[int, ...] = (1, 4, 4),
    slices: int = 0,
    conditions: Sequence[Tensor] = (LABELS, SCALE),
    steps: int = 3,
    guidance: GuidancePlan | None = None,
    start: str = "noise",
) -> Manifest:
    """A manifest with tables of nothing in particular; axis ``"B"`` of a condition is the batch. ``start`` is the role
    of what a run starts from, ``noise`` or ``init_sample``."""
    inputs = [Tensor(start, "float32", (batch, *shape), start, "unit normal")]
    if slices:
        inputs.append(Tensor("step_noise", "float32", (slices, batch, *shape), "step_noise", "unit normal"))
    inputs += [
        replace(t, shape=tuple(batch if axis == "B" else axis for axis in t.shape)) for t in conditions
    ]
    t = tuple(900.0 - 300.0 * i for i in range(steps))
    sigma = tuple(0.9 * (1 - i / steps) for i in range(steps + 1))
    alpha = tuple((1 - s * s) ** 0.5 for s in sigma)
    evaluations = tuple(Evaluation(i, t[i], alpha[i], sigma[i], 1.0) for i in range(steps))
    guided = any(c.role == "guidance_scale" for c in conditions)
    return Manifest(
        name="toy-ddim-3",
        layout="unrolled",
        model=Model("toy", "epsilon", "float32"),
        scheduler=SchedulerInfo("ddim", {"eta": 0.0}, steps, steps, 1),
        tables=Tables(t, alpha, sigma, evaluations, "0" * 64),
        guidance=guidance or (GuidancePlan("input", 2.0, ("class_labels",)) if guided else GuidancePlan("none")),
        noise=NoisePlan(slices, tuple(range(slices)), 1.0),
        inputs=tuple(inputs),
        outputs=(Tensor("sample", "float32", (batch, *shape), "sample", "the sample"),),
        weights=Weights("0" * 64, 4),
        versions={"samplegraph": "0"},
    )


def toy_graph(manifest: Manifest, external: str | None = None) -> onnx.ModelProto:
    """``0.5 * start + sum_k (k + 1) * step_noise[k] + 10 * sum of every condition's row + bias`` (0)."""
    rank = len(manifest.outputs[0].shape)
    nodes = [helper.make_node("Mul", [manifest.inputs[0].name, "half"], ["x0"])]
    constants = {"half": np.float32(0.5), "ten": np.float32(10), "bias": np.zeros(1, np.float32)}
    terms = ["x0", "bias"]
    for tensor in manifest.inputs[1:]:
        name, out = tensor.name, f"{tensor.name}_term"
        if tensor.role == "step_noise":
            weights = np.arange(1, int(tensor.shape[0]) + 1, dtype=np.float32)
            constants["order"] = weights.reshape(-1, *[1] * rank)
            constants["zero"] = np.array([0], dtype=np.int64)
            nodes.append(helper.make_node("Mul", [name, "order"], [f"{name}_ordered"]))
            nodes.append(helper.make_node("ReduceSum", [f"{name}_ordered", "zero"], [out], keepdims=0))
        else:
            constants[f"{name}_shape"] = np.array([0, -1] if tensor.shape else [1, 1], dtype=np.int64)
            constants[f"{name}_axes"] = np.array([1], dtype=np.int64)
            constants[f"{name}_row"] = np.array([-1, *[1] * (rank - 1)], dtype=np.int64)
            nodes += [
                helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
                helper.make_node("Reshape", [f"{name}_float", f"{name}_shape"], [f"{name}_flat"]),
                helper.make_node("ReduceSum", [f"{name}_flat", f"{name}_axes"], [f"{name}_sum"], keepdims=1),
                helper.make_node("Mul", [f"{name}_sum", "ten"], [f"{name}_ten"]),
                helper.make_node("Reshape", [f"{name}_ten", f"{name}_row"], [out]),
            ]
        terms.append(out)
    for i, term in enumerate(terms[1:], 1):
        last = i == len(terms) - 1
        nodes.append(helper.make_node("Add", [f"x{i - 1}", term], ["sample" if last else f"x{i}"]))
    graph = helper.make_graph(
        nodes,
        "toy",
        [_info(t) for t in manifest.inputs],
        [_info(t) for t in manifest.outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    if external is not None:
        bias = next(each for each in graph.initializer if each.name == "bias")
        bias.ClearField("raw_data")
        bias.data_location = TensorProto.EXTERNAL
        bias.external_data.add(key="location", value=external)
        bias.external_data.add(key="offset", value="0")
        bias.external_data.add(key="length", value="4")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    return model


def _info(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, ONNX_TYPES[tensor.dtype], tensor.shape)


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., Path]:
    """``toy(**arguments of toy_manifest) -> path`` of a graph written to a temporary folder."""

    def write(name: str = "toy-ddim-3.onnx", **arguments: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(toy_graph(toy_manifest(**arguments)).SerializeToString())
        return path

    return write
