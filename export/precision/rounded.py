"""A float32 copy of a graph with every rounding of its float16 or bfloat16 values written out.

ONNX Runtime's CPU provider has no bfloat16 Conv or MatMul at all, and runs most of float16 in float32 *between* two
operators as well, so that an overflow there does not show. The copy computes each operator in float32 and rounds
its result, as accelerators do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper

_NARROW = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
#: Operators whose results need no rounding: they hold numbers of their inputs.
_MOVES = frozenset(
    "Concat DepthToSpace Expand Flatten Gather GatherElements GatherND Identity Max MaxPool Min Neg Pad Relu Reshape "
    "Slice SpaceToDepth Split Squeeze Tile TopK Transpose Unsqueeze Where".split()
)
#: Operators that state their result's type themselves.
_TYPED = ("Cast", "ConstantOfShape")


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The copy: same inputs, outputs and names. External weights are read from where they are."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _write_out(copy.graph, onnx.shape_inference.infer_shapes(model).graph, {}, {})
    return copy


def _write_out(graph: GraphProto, inferred: GraphProto, around: Mapping[str, int], renamed: Mapping[str, str]) -> None:
    """Rewrite ``graph``, a body of a loop inside others too.

    Args:
        inferred: the same graph with the types of its values.
        around: types of what it reads from outside; ``renamed`` says under which name that is float32 now.
    """
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    types = {**around, **{v.name: v.type.tensor_type.elem_type for v in values}}
    types |= {t.name: t.data_type for t in graph.initializer}
    given = [v.name for v in graph.input] + [t.name for t in graph.initializer]
    own = {name: f"{name}.wide" for name in given if types[name] in _NARROW}
    nodes = [_cast(name, TensorProto.FLOAT, as_wide) for name, as_wide in own.items()]
    wide = {**renamed, **own}
    for node, known in zip(graph.node, inferred.node, strict=True):
        for attribute, body in zip(node.attribute, known.attribute, strict=True):
            if attribute.type == onnx.AttributeProto.GRAPH:
                _write_out(attribute.g, body.g, types, wide)
        nodes += _written_out(node, types, wide)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)


def _written_out(node: NodeProto, types: Mapping[str, int], wide: Mapping[str, str]) -> Iterator[NodeProto]:
    new = NodeProto()
    new.CopyFrom(node)
    new.input[:] = [wide.get(name, name) for name in node.input]
    yield new
    if node.op_type in _MOVES:
        return
    for k, name in enumerate(node.output):
        kind = types.get(name, TensorProto.FLOAT)
        if kind in _NARROW:
            stated = node.op_type in _TYPED
            new.output[k] = f"{name}.{'narrow' if stated else 'exact'}"
            if not stated:
                yield _cast(new.output[k], kind, f"{name}.narrow")
            yield _cast(f"{name}.narrow", TensorProto.FLOAT, name)


def _cast(source: str, kind: int, name: str) -> NodeProto:
    return helper.make_node("Cast", [source], [name], name=f"rounding.{name}", to=kind)
