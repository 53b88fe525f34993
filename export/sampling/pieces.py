"""Functions of tensors within a step: traced by torch once, and placed in the graph for each call."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import onnx_ir as ir
import torch
from torch import nn

from samplegraph.export.denoiser.torch_export import export_module
from samplegraph.export.graph.builder import Builder
from samplegraph.export.graph.clone import ValueMap, clone_node
from samplegraph.export.sampling.vector import Shape
from samplegraph.export.storage.weights import tensor_of

#: Name of an input's type and its shape; a number is a float32 of shape ().
Taken = tuple[str, Shape]


class Pieces:
    """What was traced, by function and shapes.

    Args:
        batch: example of a symbolic axis.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._models: dict[Hashable, ir.Model] = {}
        self._placed = 0

    def place(
        self, b: Builder, function: Callable[..., torch.Tensor], taken: Sequence[Taken], values: Sequence[ir.Value]
    ) -> ir.Value:
        """The nodes of ``function`` on ``values``, which are of these types and shapes.

        Raises:
            ExportError: torch cannot trace it.
        """
        key = (function, *taken)
        if key not in self._models:
            self._models[key] = self._traced(function, taken)
        graph = self._models[key].graph
        given: ValueMap = dict(zip(graph.inputs, values, strict=True))
        given.update({v: b.constant(tensor_of(v).numpy()) for v in graph.initializers.values()})
        b.nodes += [clone_node(node, given, f"p{self._placed}.") for node in graph]
        self._placed += 1
        old, new = graph.outputs[0], given[graph.outputs[0]]
        new.shape, new.type = old.shape, old.type
        return new

    def _traced(self, function: Callable[..., torch.Tensor], taken: Sequence[Taken]) -> ir.Model:
        axis = torch.export.Dim("batch")
        examples = tuple(
            torch.zeros([self._batch if isinstance(n, str) else n for n in shape], dtype=getattr(torch, dtype))
            for dtype, shape in taken
        )
        axes = tuple({k: axis for k, n in enumerate(shape) if isinstance(n, str)} for _, shape in taken)
        names = [f"in_{k}" for k in range(len(taken))]
        dynamic = (axes,) if any(axes) else None
        return export_module(_Piece(function), examples, names, ["out"], dynamic, "a step of the scheduler")


class _Piece(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self._function(*tensors)
