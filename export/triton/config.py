"""The config.pbtxt of a Triton Inference Server model: text of its ``ModelConfig`` message (model_config.proto)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samplegraph.runtime.manifest import Tensor

#: Triton's names for the manifest's dtypes.
_TYPES = {
    "float32": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "bfloat16": "TYPE_BF16",
    "float64": "TYPE_FP64",
    "int64": "TYPE_INT64",
    "int32": "TYPE_INT32",
    "bool": "TYPE_BOOL",
}
ONNX, ENGINE = "onnxruntime", "tensorrt"
#: What the folder of a version holds for each backend, the weights apart.
FILES = {ONNX: "model.onnx", ENGINE: "model.plan"}
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class EnsembleStep:
    """A model of an ensemble: its tensors by their own name, each with its name in the ensemble."""

    model: str
    version: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def model_config(
    name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], max_batch: int, backend: str = ONNX
) -> str:
    """The configuration of a graph, or of an engine, with these inputs and outputs.

    Args:
        max_batch: the most rows of one call, all of whose tensors then have the batch on axis 0, which is left out of
            ``dims``; Triton merges requests up to it. With 0 it merges none, ``dims`` are whole shapes, and -1 is any
            number of rows. A scalar has ``dims`` [1], which Triton's ONNX Runtime backend feeds as a scalar; for an
            engine it is reshaped.
    """
    lines = [f'name: "{name}"', f'backend: "{backend}"', *_tensors(inputs, outputs, max_batch, backend == ENGINE)]
    lines += ["dynamic_batching {", "}"] if max_batch else []
    return _ended(lines)


def ensemble_config(
    name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], max_batch: int, steps: Sequence[EnsembleStep]
) -> str:
    """The configuration of an ensemble: ``steps`` wired by the names that tensors have in it."""
    lines = [f'name: "{name}"', 'platform: "ensemble"', *_tensors(inputs, outputs, max_batch, False)]
    lines.append("ensemble_scheduling {")
    for step in steps:
        lines += ["  step {", f'    model_name: "{step.model}"', f"    model_version: {step.version}"]
        for field, names in (("input_map", step.inputs), ("output_map", step.outputs)):
            lines += [f'    {field} {{ key: "{own}" value: "{outer}" }}' for own, outer in names.items()]
        lines.append("  }")
    return _ended([*lines, "}"])


def _ended(lines: Sequence[str]) -> str:
    tail = ["parameters {", '  key: "samplegraph.manifest"', "  value {", f'    string_value: "{MANIFEST}"', "  }", "}"]
    return "\n".join([*lines, *tail, ""])


def _tensors(inputs: Sequence[Tensor], outputs: Sequence[Tensor], max_batch: int, engine: bool) -> list[str]:
    lines = [f"max_batch_size: {max_batch}"]
    for field, tensors in (("input", inputs), ("output", outputs)):
        lines += [line for tensor in tensors for line in _tensor(field, tensor, max_batch, engine)]
    return lines


def _tensor(field: str, tensor: Tensor, max_batch: int, engine: bool) -> list[str]:
    axes = tensor.shape[1:] if max_batch else tensor.shape
    dims = ", ".join("-1" if isinstance(axis, str) else str(axis) for axis in axes)
    lines = [f"{field} {{", f'  name: "{tensor.name}"', f"  data_type: {_TYPES[tensor.dtype]}"]
    lines.append(f"  dims: [{dims or 1}]")
    if not axes and (max_batch or engine):  # one number per row, (B,) in the graph and (B, 1) in a request
        lines.append("  reshape { shape: [] }")
    return [*lines, "}"]
