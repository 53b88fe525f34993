"""Stages as nodes of a graph: the operations by which ``Inlet.run`` works on its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from samplegraph.export.graph.builder import Builder
from samplegraph.export.graph.clone import ValueMap, clone_node
from samplegraph.export.signature import BATCH_AXIS
from samplegraph.export.storage.weights import tensor_of
from samplegraph.models import Back, Condition, Front

#: The captured graph of a stage: of the rows of both branches where ``twofold``.
Captured = Callable[[Front | Back, bool], ir.Model]


class OnGraph:
    """Writes into ``b`` what becomes nodes of one graph; ``weights`` are the initializers that those read.

    Args:
        captured: the stages' graphs.
        label: in front of the names of a stage's nodes and weights.
        rows: of the static batch; None where it is symbolic.
        known: initializers of the graph that this becomes a part of, by their tensor: equal ones are shared.
    """

    def __init__(
        self,
        captured: Captured,
        label: Callable[[Front | Back], str],
        rows: int | None,
        known: Mapping[int, ir.Value],
    ) -> None:
        self.b, self.weights = Builder("stages"), dict[str, ir.Value]()
        self._captured, self._label, self._rows, self._known = captured, label, rows, known
        self._whole: dict[tuple[ir.Value, ir.Value], ir.Value] = {}

    def call(self, front: Front, inputs: Mapping[str, ir.Value], twofold: bool) -> Mapping[str, ir.Value]:
        results = self.emit(front, list(inputs.values()), twofold)
        return dict(zip(front.gives, results, strict=True))

    def emit(self, stage: Front | Back, inputs: list[ir.Value], twofold: bool = False) -> list[ir.Value]:
        """The nodes of a stage; its results."""
        graph, prefix = self._captured(stage, twofold).graph, f"{self._label(stage)}."
        values: ValueMap = dict(zip(graph.inputs, inputs, strict=True))
        for value in graph.initializers.values():
            values[value] = self._weight(value, prefix)
        self.b.nodes += [clone_node(node, values, prefix) for node in graph]
        results = [values[output] for output in graph.outputs]
        for output, result in zip(graph.outputs, results, strict=True):
            if result.producer() is not None:
                result.type, result.shape = output.type, output.shape
        return results

    def stack(self, uncond: ir.Value, cond: ir.Value) -> ir.Value:
        return self.b.one("Concat", [uncond, cond], {"axis": 0})

    def halves(self, both: ir.Value) -> tuple[ir.Value, ir.Value]:
        uncond, cond = self.b.op("Split", [both], {"axis": 0, "num_outputs": 2}, num_outputs=2)
        for half in (uncond, cond):
            half.type = both.type
            half.shape = None if both.shape is None else ir.Shape([self._rows or BATCH_AXIS, *both.shape[1:]])
        self._whole[uncond, cond] = both
        return uncond, cond

    def null(self, like: ir.Value, declared: Condition) -> ir.Value:
        assert like.dtype is not None
        assert like.shape is not None
        null = np.full((1,) * len(like.shape), declared.null, dtype=like.dtype.numpy())
        if self._rows is not None:
            return self.b.constant(np.broadcast_to(null, [int(n) for n in like.shape]))  # type: ignore[arg-type]
        return self.b.one("Expand", [self.b.constant(null), self.b.one("Shape", [like])])

    def stack_again(self, graph: ir.Graph) -> None:
        """Where ``graph`` stacks two halves again, let it read what they are halves of."""
        for (uncond, cond), both in self._whole.items():
            for node, _ in list(uncond.uses()):
                axis = node.attributes.get("axis")
                if node.op_type == "Concat" and list(node.inputs) == [uncond, cond] and axis and axis.as_int() == 0:
                    ir.convenience.replace_all_uses_with(node.outputs[0], both)
                    graph.remove(node, safe=True)

    def _weight(self, value: ir.Value, prefix: str) -> ir.Value:
        tensor = tensor_of(value)
        if id(tensor) in self._known:
            return self._known[id(tensor)]
        name = f"{prefix}{value.name}"
        if name not in self.weights:
            self.weights[name] = ir.Value(name=name, type=value.type, shape=value.shape, const_value=tensor)
        return self.weights[name]
