"""Pass: what is computed for all evaluations at once is cut apart by products with unit vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.builder import Builder
from samplegraph.export.graph.rewrite import integer

#: Types in which a product with a unit vector is exact, and which builders multiply.
_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


class SiteProductsPass(ir.passes.InPlacePass):
    """``Split`` along axis 0 of values that do not change between evaluations becomes one product per part.

    TensorRT-RTX stores the source of a kernel once for all its uses only where the kernels in front are the same, too,
    back to a product or a convolution. The first normalisation that reads a part of a ``Split`` cuts out the
    others and hands them on, so that no two evaluations are alike. These products become one, read where they lie.

    Args:
        still: names of graph inputs that hold no sample.
    """

    def __init__(self, still: Collection[str]) -> None:
        super().__init__()
        self._still = still

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        groups: dict[Hashable, list[_Cut]] = defaultdict(list)
        depths: dict[ir.Value, int] = dict.fromkeys(model.graph.initializers.values(), 0)
        depths |= {value: 0 for value in model.graph.inputs if value.name in self._still}
        for node in model.graph:
            read = [value for value in node.inputs if value is not None and node.op_type != "Shape"]
            if not all(value in depths for value in read):
                continue
            depth, cut = max((depths[value] for value in read), default=0), _cut(node)
            if cut is not None:
                groups[depth, cut.alike].append(cut)
                depth += 1
            depths.update(dict.fromkeys(node.outputs, depth))
        for count, cuts in enumerate(groups.values()):
            _rewrite(model.graph, cuts, f"sites{count}.")
        if groups:
            model.graph.sort()
        return ir.passes.PassResult(model, bool(groups))


@dataclass(frozen=True)
class _Cut:
    """A ``Split`` of ``value``, whose sizes but that of axis 0 are ``tail``."""

    split: ir.Node
    value: ir.Value
    dtype: ir.DataType
    tail: tuple[int, ...]

    @property
    def axis(self) -> int:
        """The last of ``tail`` that is longer than one: values that differ there alone lie side by side."""
        return next((axis for axis in range(len(self.tail) - 1, -1, -1) if self.tail[axis] != 1), len(self.tail) - 1)

    @property
    def alike(self) -> Hashable:
        """What cuts that the same products make have in common."""
        return len(self.split.outputs), self.dtype, self.axis, self.tail[: self.axis], self.tail[self.axis + 1 :]


def _cut(node: ir.Node) -> _Cut | None:
    """``node`` as a cut into parts of one shape; None where it is something else."""
    if node.op_type != "Split" or node.domain or integer(node, "axis") != 0 or len(node.outputs) < 2:
        return None
    value, parts = node.inputs[0], [output.shape for output in node.outputs]
    if value is None or value.shape is None or value.dtype not in _FLOATS or value.dtype is None:
        return None
    tail = tuple(n for n in value.shape[1:] if isinstance(n, int))
    if not tail or len(tail) != len(value.shape) - 1 or any(output.is_graph_output() for output in node.outputs):
        return None
    even = parts[0] is not None and all(part == parts[0] for part in parts)
    return _Cut(node, value, value.dtype, tail) if even else None


def _rewrite(graph: ir.Graph, cuts: Sequence[_Cut], prefix: str) -> None:
    """The values side by side as (S, all), and unit vectors (1, S) times them for the S parts."""
    b, first, axis = Builder(prefix), cuts[0], cuts[0].axis
    widths, count = [cut.tail[axis] for cut in cuts], len(first.split.outputs)
    values = b.one("Concat", [cut.value for cut in cuts], {"axis": axis + 1})
    flat = b.one("Reshape", [values, b.constant(np.array([count, -1]))])
    shape = b.constant(np.array([-1, *first.tail[:axis], sum(widths), *first.tail[axis + 1 :]]))
    for k, unit in enumerate(np.eye(count, dtype=first.dtype.numpy())):
        site = b.one("Reshape", [b.one("MatMul", [b.constant(unit[None]), flat]), shape])
        parts = b.op("Split", [site, b.constant(np.array(widths))], {"axis": axis + 1}, num_outputs=len(cuts))
        for cut, part in zip(cuts, parts, strict=True):
            cut.split.outputs[k].replace_all_uses_with(part)
    for value in b.constants.values():
        graph.register_initializer(value)
    graph.insert_after(cuts[-1].split, b.nodes)
    graph.remove([cut.split for cut in cuts])
