"""The config.pbtxt of a Triton Inference Server model: text of its ``ModelConfig`` message (model_config.proto)."""

from __future__ import annotations

from collections.abc import Sequence

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
#: What the folder of a version holds, the weights apart.
GRAPH, MANIFEST = "model.onnx", "manifest.json"


def model_config(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], max_batch: int) -> str:
    """The configuration of an ONNX graph with these inputs and outputs.

    Args:
        max_batch: the most rows of one call, all of whose tensors then have the batch on axis 0, which is left out of
            ``dims``; Triton merges requests up to it. With 0 it merges none, ``dims`` are whole shapes, and -1 is any
            number of rows. A scalar has ``dims`` [1], which Triton's ONNX Runtime backend feeds as a scalar.
    """
    lines = [f'name: "{name}"', 'backend: "onnxruntime"', f"max_batch_size: {max_batch}"]
    lines += [line for tensor in inputs for line in _tensor("input", tensor, max_batch)]
    lines += [line for tensor in outputs for line in _tensor("output", tensor, max_batch)]
    lines += ["dynamic_batching {", "}"] if max_batch else []
    lines += ["parameters {", '  key: "samplegraph.manifest"', "  value {", f'    string_value: "{MANIFEST}"']
    return "\n".join([*lines, "  }", "}", ""])


def _tensor(field: str, tensor: Tensor, max_batch: int) -> list[str]:
    axes = tensor.shape[1:] if max_batch else tensor.shape
    dims = ", ".join("-1" if isinstance(axis, str) else str(axis) for axis in axes)
    lines = [f"{field} {{", f'  name: "{tensor.name}"', f"  data_type: {_TYPES[tensor.dtype]}"]
    lines.append(f"  dims: [{dims or 1}]")
    if max_batch and not axes:  # one number per row, (B,) in the graph and (B, 1) in a request
        lines.append("  reshape { shape: [] }")
    return [*lines, "}"]
