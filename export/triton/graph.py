"""The form of a graph whose calls Triton may merge: every input and output with the batch on axis 0.

Triton joins the requests of several callers along axis 0 and cuts the results apart there. ``step_noise`` (K, B, ...)
has the batch elsewhere, and ``guidance_scale`` () is one for all rows; here they are (B, K, ...) and (B, 1), so that
each sample keeps its own draws and its own scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from samplegraph.runtime.manifest import METADATA_KEY, Manifest, Tensor


def obstacle(manifest: Manifest) -> str | None:
    """Why calls of this sampler cannot be merged; None if they can."""
    if manifest.batch is not None:
        return f"its batch of {manifest.batch} is fixed; export with --batch dynamic"
    config = manifest.scheduler.config
    if manifest.scheduler.name == "score_sde_ve" and config["correct_steps"] and not config["per_sample"]:
        return "score_sde_ve takes norms over the batch; export with --set per_sample=true"
    return None


def batch_first(model: ir.Model, manifest: Manifest) -> tuple[Tensor, ...] | None:
    """Change ``model`` in place to that form, and give its inputs; None where the scale's uses do not allow it.

    A changed graph is no longer what its manifest says, which is taken out of it.
    """
    values = {value.name: value for value in model.graph.inputs}
    inputs = merged_tensors(manifest, manifest.inputs)
    for tensor, merged in zip(manifest.inputs, inputs, strict=True):
        if tensor.role == "step_noise":
            _transpose(model.graph, values[tensor.name])
        elif tensor.role == "guidance_scale" and not _per_row(model, values[tensor.name], merged):
            return None
    if inputs != manifest.inputs:
        model.metadata_props.pop(METADATA_KEY, None)
    return inputs


def merged_tensors(manifest: Manifest, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """``inputs`` of the sampler, or of a graph of it, with the batch on axis 0."""
    rows, found = manifest.outputs[0].shape[0], []
    for tensor in inputs:
        if tensor.role == "step_noise":
            slices, batch, *rest = tensor.shape
            tensor = replace(tensor, shape=(batch, slices, *rest))
        elif tensor.role == "guidance_scale":
            tensor = replace(tensor, shape=(rows, 1))
        found.append(tensor)
    return tuple(found)


def whole_noise(model: ir.Model, manifest: Manifest) -> Manifest:
    """Let a chunk take all of the sampler's ``step_noise`` and cut its own slices out of it; the manifest of that."""
    assert manifest.chunk is not None
    own = next((tensor for tensor in manifest.inputs if tensor.role == "step_noise"), None)
    whole = next((tensor for tensor in manifest.sampler_inputs if tensor.role == "step_noise"), None)
    if own is None or whole is None or own == whole:
        return manifest
    value = next(value for value in model.graph.inputs if value.name == own.name)
    numbers = [value]
    for name, number in zip(("from", "to", "axis"), (*manifest.chunk.slices, 0), strict=True):
        label = f"{value.name}.{name}"
        numbers.append(ir.val(label, const_value=ir.tensor(np.array([number], dtype=np.int64), name=label)))
        model.graph.register_initializer(numbers[-1])
    node = ir.node("Slice", numbers, name=f"{value.name}.own")
    _read_instead(value, node, ir.Shape(own.shape), "own_slices")
    value.shape = ir.Shape(whole.shape)
    model.graph.insert_before(model.graph[0], node)
    model.metadata_props.pop(METADATA_KEY, None)
    return replace(manifest, inputs=tuple(whole if tensor is own else tensor for tensor in manifest.inputs))


def _transpose(graph: ir.Graph, value: ir.Value) -> None:
    """(K, B, ...) from the input, which becomes (B, K, ...)."""
    assert value.shape is not None
    axes = [1, 0, *range(2, len(value.shape))]
    node = ir.node("Transpose", [value], {"perm": axes}, name=f"{value.name}.slices_first")
    _read_instead(value, node, ir.Shape(list(value.shape)), "slices")
    value.shape = ir.Shape([value.shape[axis] for axis in axes])
    graph.insert_before(graph[0], node)


def _per_row(model: ir.Model, value: ir.Value, tensor: Tensor) -> bool:
    """Give the scale one entry per row: (B, 1, ...) wherever it multiplies; False if it is used otherwise."""
    ranks = _ranks(model)
    uses = list(value.uses())
    wide: dict[int, list[ir.Node]] = {}
    for node, _ in uses:
        others = [ranks.get(str(each.name), 0) for each in node.inputs if each is not None and each is not value]
        if node.op_type != "Mul" or len(others) != 1 or not others[0]:
            return False
        if node not in (same := wide.setdefault(others[0], [])):
            same.append(node)
    value.shape = ir.Shape(tensor.shape)
    for rank, nodes in wide.items():
        name = f"{value.name}.rank_{rank}"
        shape = ir.val(f"{name}.shape", const_value=ir.tensor(np.array([-1, *[1] * (rank - 1)]), name=f"{name}.shape"))
        model.graph.register_initializer(shape)
        node = ir.node("Reshape", [value, shape], name=name)
        node.outputs[0].name = f"{name}.out"
        for each in nodes:
            each.replace_input_with(list(each.inputs).index(value), node.outputs[0])
        model.graph.insert_before(model.graph[0], node)
    return True


def _ranks(model: ir.Model) -> dict[str, int]:
    """The ranks of all values, by name, where ONNX's shape inference finds them."""
    inferred = ShapeInferencePass()(model.clone()).model
    values = [*inferred.graph.inputs, *(out for node in inferred.graph.all_nodes() for out in node.outputs)]
    return {str(value.name): len(value.shape) for value in values if value.shape is not None}


def _read_instead(value: ir.Value, node: ir.Node, shape: ir.Shape, name: str) -> None:
    """All that read ``value``, but ``node``, read its output from here on, inner graphs too."""
    out = node.outputs[0]
    out.name, out.shape = f"{value.name}.{name}", shape
    if value.dtype is not None:
        out.dtype = value.dtype
    for user, index in value.uses():
        if user is not node:
            user.replace_input_with(index, out)


def serialised(model: ir.Model) -> bytes:
    """The graph as bytes, its external weights still where they were, relative to it."""
    proto: onnx.ModelProto = ir.serde.serialize_model(model)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data
