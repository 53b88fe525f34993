"""Pass: a linear layer whose output is split becomes one layer per part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.bindings import Binding, analyse
from samplegraph.export.graph.rewrite import constant, constant_of, insert, integer, producer
from samplegraph.export.passes.picks import squeezes


class SplitLinearPass(ir.passes.InPlacePass):
    """Splits weights instead of values: q, k and v of one projection, both halves of a gated layer.

    ``Split`` copies its whole input at every step; parts of a weight are cut once, here, and are as many bytes as
    before. Only where the sample enters: elsewhere the layer is evaluated once for all steps anyway.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph = model.graph
        bindings = analyse(graph, graph.inputs[0], graph.inputs[1])
        modified = False
        for node in graph:
            if node.op_type == "Split" and not node.domain and bindings.of(node.inputs[0]) & Binding.SAMPLE:
                layer = _layer(node)
                if layer is not None:
                    _split(graph, node, layer)
                    modified = True
        return ir.passes.PassResult(model, modified)


@dataclass(frozen=True)
class _Layer:
    """``y = MatMul(x, weight) + bias``, its output axis then parted into ``axes``; ``lead`` axes stand before them."""

    x: ir.Value
    y: ir.Value
    weight: ir.Value
    bias: ir.Value | None
    lead: int
    axes: tuple[int, ...]


def _layer(node: ir.Node) -> _Layer | None:
    """The layer whose output ``node`` splits, if nothing else reads that."""
    out = node.inputs[0]
    if not _read_once(out):
        return None
    reshape = producer(out, "Reshape")
    y = out if reshape is None else reshape.inputs[0]
    if y is None or not y.shape or out is None or not out.shape or not _read_once(y):
        return None
    lead = len(y.shape) - 1
    axes = [n for n in out.shape[lead:] if isinstance(n, int)]
    if list(out.shape[:lead]) != list(y.shape[:lead]) or len(axes) != len(out.shape) - lead:
        return None
    add = producer(y, "Add")
    product, bias = (y, None) if add is None else sorted(add.inputs, key=lambda v: constant_of(v) is not None)
    matmul = producer(product, "MatMul")
    if matmul is None or not _read_once(product):
        return None
    x, weight = matmul.inputs
    w, b = constant_of(weight), constant_of(bias)
    if w is None or w.ndim != 2 or (bias is not None and (b is None or b.shape != w.shape[1:])):
        return None
    if x is None or weight is None or np.prod(axes) != w.shape[1]:
        return None
    return _Layer(x, y, weight, bias, lead, tuple(axes)) if _axis(node) >= lead else None


def _split(graph: ir.Graph, node: ir.Node, layer: _Layer) -> None:
    columns = np.arange(np.prod(layer.axes)).reshape(layer.axes)
    axis, start = _axis(node) - layer.lead, 0
    for out in node.outputs:
        assert out.shape is not None
        size = out.shape[axis + layer.lead]
        assert isinstance(size, int)
        picked = columns.take(range(start, start + size), axis)
        key = f"{'_'.join(map(str, (*layer.axes, axis)))}.{start}_{start + size}"
        start += size
        if not out.uses() and not out.is_graph_output():
            continue
        y = _part(graph, node, layer, out, picked.ravel(), key)
        if len(layer.axes) == 1:
            ir.convenience.replace_all_uses_with(out, y)
            continue
        narrow = squeezes(out, axis + layer.lead, len(out.shape))  # (..., 1, heads, d): without the 1 straight away
        ends = [each.outputs[0] for each in narrow] or [out]
        assert ends[0].shape is not None
        target = (*[0] * layer.lead, *(n for n in ends[0].shape[layer.lead :] if isinstance(n, int)))
        shape = constant(graph, "reshape_to_" + "_".join(map(str, target)), np.array(target, dtype=np.int64))
        y = insert(node, "Reshape", [y, shape], {}, [f"{out.name}.parted"], [ends[0].shape])[0]
        ir.convenience.replace_all_uses_with(ends, [y] * len(ends))


def _part(graph: ir.Graph, node: ir.Node, layer: _Layer, out: ir.Value, columns: np.ndarray, key: str) -> ir.Value:
    """The layer's outputs at ``columns``; ``key`` names them."""
    w, b = constant_of(layer.weight), constant_of(layer.bias)
    assert w is not None
    assert layer.y.shape is not None
    shape = ir.Shape([*layer.y.shape[: layer.lead], len(columns)])
    weight = constant(graph, f"{layer.weight.name}.{key}", _columns(w, columns))
    y = insert(node, "MatMul", [layer.x, weight], {}, [f"{out.name}.product"], [shape])[0]
    if b is not None and layer.bias is not None:
        bias = constant(graph, f"{layer.bias.name}.{key}", _columns(b, columns))
        y = insert(node, "Add", [y, bias], {}, [f"{out.name}.linear"], [shape])[0]
    return y


def _columns(array: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Columns of a weight or a bias: where they are neighbours, a view, which is not held in memory a second time."""
    first, last = int(columns[0]), int(columns[-1])
    if last - first + 1 == len(columns) and (np.diff(columns) == 1).all():
        return array[..., first : last + 1]
    return np.ascontiguousarray(array[..., columns])


def _axis(node: ir.Node) -> int:
    return integer(node, "axis") % len((node.inputs[0].shape if node.inputs[0] is not None else None) or (1,))


def _read_once(value: ir.Value | None) -> bool:
    return value is not None and len(value.uses()) == 1 and not value.is_graph_output()
