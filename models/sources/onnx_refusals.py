"""What an ONNX file may not hold if it is to become part of a sampler's graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from samplegraph.schedulers import OptionError

#: Operators that draw random numbers.
RANDOM_OPS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
_STANDARD = ("", "ai.onnx")


def refuse_foreign(model: onnx.ModelProto, path: Path) -> None:
    """Look at every node, those of branches and local functions too.

    Raises:
        OptionError: an operator that is not ONNX's own, whose effects nobody can know, or one that draws random
            numbers.
    """
    own = {(function.domain, function.name) for function in model.functions}
    for node in _nodes(model):
        where = f"model={str(path)!r}: node {node.name or node.op_type!r} "
        if node.domain not in _STANDARD and (node.domain, node.op_type) not in own:
            raise OptionError(
                f"{where}is the operator {node.domain}.{node.op_type}, which is not one of ONNX's own and may do "
                "anything; export the model with standard operators only"
            )
        if node.op_type in RANDOM_OPS or _drops(node, model):
            raise OptionError(
                f"{where}draws random numbers ({node.op_type}); pass randomness in as an input, or export the model in "
                "evaluation mode"
            )


def refuse_invalid(model: onnx.ModelProto, path: Path) -> None:
    """Let ONNX's checker look at the graph, at its nodes and their order, without the weights.

    Raises:
        OptionError: it is no valid ONNX, or newer than this machine's onnx.
    """
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    graph, own = model.graph, {value.name for value in model.graph.input}
    weights = [
        onnx.helper.make_tensor_value_info(each.name, each.data_type, each.dims)
        for each in graph.initializer
        if each.name not in own
    ]
    inputs = [*graph.input, *weights]
    bare.graph.CopyFrom(onnx.GraphProto(name="denoiser", node=graph.node, input=inputs, output=graph.output))
    try:
        onnx.checker.check_model(bare)
    except Exception as error:
        reason = " ".join(str(error).split("==> Context")[0].split())
        raise OptionError(f"model={str(path)!r}: is not valid ONNX ({reason[:300]}); export the model anew") from error


def _drops(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether a Dropout is in training mode, by its third input."""
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return False
    for tensor in model.graph.initializer:
        if tensor.name == node.input[2]:
            return bool(onnx.numpy_helper.to_array(tensor).any())
    for other in model.graph.node:
        if node.input[2] in other.output and other.op_type == "Constant":
            return bool(onnx.numpy_helper.to_array(other.attribute[0].t).any())
    return True


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from _within(model.graph.node)
    for function in model.functions:
        yield from _within(function.node)


def _within(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _within(graph.node)


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that the file stores, those in branches and attributes too."""
    yield from model.graph.initializer
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from graph.initializer
