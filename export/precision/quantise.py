"""Stores the large weights of a captured denoiser as int8 numbers and one scale per output channel."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.bindings import Bindings, class_of
from samplegraph.export.graph.builder import initializer
from samplegraph.export.graph.rewrite import attributes, integer, permutation

#: Weights of fewer numbers than this stay as they are.
LEAST_SIZE = 4096
_OPERATOR = "DequantizeLinear"


class QuantisedWeights:
    """Tensors quantised so far, with their scales: one that several graphs hold is quantised once.

    Symmetric, by ONNX Runtime's own quantiser: ``w = scale * q``, ``scale = max |w| / 127`` of the channel.
    """

    note = ""

    def __init__(self) -> None:
        self._done: dict[int, tuple[ir.TensorProtocol, ir.Value, ir.Value]] = {}

    def of(self, value: ir.Value, axis: int) -> tuple[ir.TensorProtocol, ir.TensorProtocol]:
        """Numbers and scales of the initializer ``value`` along ``axis``."""
        source = value.const_value
        assert source is not None
        if id(source) not in self._done:
            numbers, scales = quantised(source.numpy(), axis)
            made = initializer(f"{value.name}.int8", numbers), initializer(f"{value.name}.scale", scales)
            self._done[id(source)] = source, *made
        _, q, scale = self._done[id(source)]
        assert q.const_value is not None
        assert scale.const_value is not None
        return q.const_value, scale.const_value


def quantised(weight: npt.NDArray[Any], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """``weight`` as int8, and one scale for each index of ``axis``.

    Raises:
        ExportError: ONNX Runtime, whose quantiser this is, is not installed.
    """
    try:
        from onnxruntime.quantization.quant_utils import QuantType, quantize_data
    except ImportError as error:
        raise ExportError("precision='int8' needs ONNX Runtime's quantiser; install samplegraph[cpu]") from error
    channels = np.moveaxis(weight, axis, 0)
    rows = [quantize_data(row.ravel(), QuantType.QInt8.tensor_type, symmetric=True) for row in channels]
    numbers = np.stack([q for _, _, q in rows]).astype(np.int8).reshape(channels.shape)
    scales = np.array([scale for _, scale, _ in rows], dtype=np.float32).reshape(-1)
    return np.ascontiguousarray(np.moveaxis(numbers, 0, axis)), scales


def quantise(model: ir.Model, weights: QuantisedWeights, bindings: Bindings, kept: Collection[ir.Node]) -> None:
    """Put ``DequantizeLinear(int8, scale)`` in the place of each large weight of a convolution or a matrix product.

    Weights that only the timestep path reads, which is evaluated at compile time, and those of ``kept`` nodes stay.

    Raises:
        ExportError: see ``quantised``.
    """
    graph = model.graph
    for value in list(graph.initializers.values()):
        axis = _channel_axis(value, bindings, kept)
        if axis is not None:
            _dequantise(graph, value, axis, weights)


def is_dequantised(node: ir.Node) -> bool:
    """Whether ``node`` stands for a stored weight: folding it would store the weight as it was."""
    return node.op_type == _OPERATOR and not node.domain and all(v is None or v.const_value for v in node.inputs)


def _dequantise(graph: ir.Graph, value: ir.Value, axis: int, weights: QuantisedWeights) -> None:
    numbers, scales = weights.of(value, axis)
    inputs = []
    for suffix, tensor in (("int8", numbers), ("scale", scales)):
        shape, kind = ir.Shape(tensor.numpy().shape), ir.TensorType(tensor.dtype)
        stored = ir.Value(name=f"{value.name}.{suffix}", shape=shape, type=kind, const_value=tensor)
        graph.register_initializer(stored)
        inputs.append(stored)
    node = ir.Node("", _OPERATOR, inputs, attributes({"axis": axis}), name=f"n.{value.name}")
    out = node.outputs[0]
    out.name, out.shape, out.type = f"{value.name}.wide", value.shape, value.type
    graph.insert_before(graph[0], node)
    ir.convenience.replace_all_uses_with(value, out)
    assert value.name is not None
    del graph.initializers[value.name]


def _channel_axis(value: ir.Value, bindings: Bindings, kept: Collection[ir.Node]) -> int | None:
    """The axis of output channels of a weight that may be quantised, and on which all who read it agree."""
    tensor = value.const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or tensor.size < LEAST_SIZE or value.is_graph_output():
        return None
    axes = {_axis_for(use.node, use.idx, len(tensor.shape), bindings, kept) for use in value.uses()}
    return axes.pop() if len(axes) == 1 else None


def _axis_for(node: ir.Node, index: int, rank: int, bindings: Bindings, kept: Collection[ir.Node]) -> int | None:
    if node.op_type == "Transpose" and rank == 2 and permutation(node) == [1, 0]:
        behind = {_axis_for(use.node, use.idx, rank, bindings, kept) for use in node.outputs[0].uses()}
        axis = behind.pop() if len(behind) == 1 else None
        return None if axis is None else 1 - axis
    if node in kept or index != 1 or node.domain or class_of(bindings.nodes[node]) == "timestep":
        return None
    match node.op_type:
        case "Conv":
            return 0
        case "ConvTranspose":
            return 1 if integer(node, "group", 1) == 1 else None
        case "Gemm":
            return 0 if integer(node, "transB") else 1
        case "MatMul" if rank == 2:
            return 1
    return None
