"""The form of a graph whose calls Triton may merge: every input and output with the batch on axis 0.

Triton joins the requests of several callers along axis 0 and cuts the results apart there. ``step_noise`` (K, B, ...)
has the batch elsewhere, and ``guidance_scale`` () is one for all rows; here they are (B, K, ...) and (B, 1), so that
each sample keeps its own draws and its own scale.
"""

from __future__ import annotations

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
    shape_of = {value.name: value for value in model.graph.inputs}
    inputs: list[Tensor] = []
    for tensor in manifest.inputs:
        if tensor.role == "step_noise":
            slices, rows, *rest = tensor.shape
            tensor = replace(tensor, shape=(rows, slices, *rest))
            _transpose(model.graph, shape_of[tensor.name])
        elif tensor.role == "guidance_scale":
            tensor = replace(tensor, shape=(manifest.outputs[0].shape[0], 1))
            if not _per_row(model, shape_of[tensor.name], tensor):
                return None
        inputs.append(tensor)
    if tuple(inputs) != manifest.inputs:
        model.metadata_props.pop(METADATA_KEY, None)
    return tuple(inputs)


def _transpose(graph: ir.Graph, value: ir.Value) -> None:
    """(K, B, ...) from the input, which becomes (B, K, ...)."""
    assert value.shape is not None
    axes = [1, 0, *range(2, len(value.shape))]
    node = ir.node("Transpose", [value], {"perm": axes}, name=f"{value.name}.slices_first")
    _read_instead(value, node, ir.Shape(list(value.shape)))
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


def _read_instead(value: ir.Value, node: ir.Node, shape: ir.Shape) -> None:
    """All that read ``value``, but ``node``, read its output from here on, inner graphs too."""
    out = node.outputs[0]
    out.name, out.shape = f"{value.name}.slices", shape
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
