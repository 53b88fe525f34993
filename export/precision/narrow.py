"""Turns a captured float32 denoiser into one that computes in float16 or bfloat16 and is float32 at its edge."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import onnx
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.bindings import subgraphs
from samplegraph.export.graph.rewrite import attributes
from samplegraph.export.precision.narrow_weights import OPSETS, NarrowWeights

WIDE = ir.DataType.FLOAT
_TENSOR = {ir.DataType.FLOAT16: "tensor(float16)", ir.DataType.BFLOAT16: "tensor(bfloat16)"}


def narrow(model: ir.Model, weights: NarrowWeights, kept: Collection[ir.Node]) -> None:
    """Let all nodes but ``kept`` compute in the type of ``weights``; the model's inputs and outputs stay as they are.

    A node whose operator does not take it stays in float32 too. Casts stand where the two meet. Weights
    that only narrow nodes read are converted.

    Raises:
        ExportError: a weight is too large for float16, or the model has control flow.
    """
    for node in model.graph:
        if any(subgraphs(node)):
            raise ExportError(
                f"the model has control flow ({node.op_type} {node.name}), which has one precision; use precision=fp32"
            )
    model.graph.opset_imports[""] = OPSETS[weights.kind]
    _Narrower(model.graph, weights, kept).run()


class _Narrower:
    def __init__(self, graph: ir.Graph, weights: NarrowWeights, kept: Collection[ir.Node]) -> None:
        self.graph, self.weights, self.kind = graph, weights, weights.kind
        kind = weights.kind
        self.typing = {node: _Typing(node, kind, node in kept) for node in graph}
        self.casts: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}

    def run(self) -> None:
        read_wide = {v for t in self.typing.values() for v, is_narrow in t.reads() if not is_narrow}
        for value in list(self.graph.initializers.values()):
            if value.dtype == WIDE and value not in read_wide and value.uses():
                value.const_value, value.type = self.weights.of(value), ir.TensorType(self.kind)
        for node, typing in self.typing.items():
            for k, (value, is_narrow) in typing.inputs.items():
                node.replace_input_with(k, self._cast(value, self.kind if is_narrow else WIDE))
            typing.set_outputs()
        for k, output in enumerate(self.graph.outputs):
            if output.dtype == self.kind:
                self.graph.outputs[k] = self._cast(output, WIDE)

    def _cast(self, value: ir.Value, kind: ir.DataType) -> ir.Value:
        """``value`` as ``kind``; one Cast for all who read it so."""
        if value.dtype == kind:
            return value
        key = value, kind
        if key not in self.casts:
            node = ir.Node("", "Cast", [value], attributes({"to": int(kind)}), name=f"n.{value.name}.{kind.name}")
            out = node.outputs[0]
            out.name, out.shape, out.type = f"{value.name}.{kind.name}", value.shape, ir.TensorType(kind)
            producer = value.producer()
            if producer is None:
                self.graph.insert_before(self.graph[0], node)
            else:
                self.graph.insert_after(producer, node)
            self.casts[key] = out
        return self.casts[key]


class _Typing:
    """Of one node: which of its inputs become narrow, float32 ones by index, and which outputs follow."""

    def __init__(self, node: ir.Node, kind: ir.DataType, kept: bool) -> None:
        self.node, self.kind = node, kind
        floats = {k: v for k, v in enumerate(node.inputs) if v is not None and v.dtype == WIDE}
        variables = set() if kept or node.domain else _narrow_variables(node, kind)
        self.inputs = {k: (v, _variable(_schema(node, kind).inputs, k) in variables) for k, v in floats.items()}
        taken = {_variable(_schema(node, kind).inputs, k) for k, (_, is_narrow) in self.inputs.items() if is_narrow}
        self.outputs = [
            out
            for k, out in enumerate(node.outputs)
            if out.dtype == WIDE and _variable(_schema(node, kind).outputs, k) in taken
        ]
        self.casts = node.op_type == "Cast" and not kept and node.outputs[0].dtype == WIDE

    def reads(self) -> Iterator[tuple[ir.Value, bool]]:
        yield from self.inputs.values()

    def set_outputs(self) -> None:
        if self.casts:
            self.node.attributes["to"] = ir.AttrInt64("to", int(self.kind))
        for out in self.node.outputs if self.casts else self.outputs:
            out.type = ir.TensorType(self.kind)


def _schema(node: ir.Node, kind: ir.DataType) -> Any:
    return onnx.defs.get_schema(node.op_type, OPSETS[kind], node.domain)


def _narrow_variables(node: ir.Node, kind: ir.DataType) -> set[str]:
    """The operator's type variables that can be ``kind``."""
    return {c.type_param_str for c in _schema(node, kind).type_constraints if _TENSOR[kind] in c.allowed_type_strs}


def _variable(parameters: Any, index: int) -> str:
    """The type variable of a parameter, of which the last may be variadic."""
    return str(parameters[min(index, len(parameters) - 1)].type_str)
