"""Traces a sampler with the denoiser as one opaque node: the route for every scheduler, and the oracle of lowering."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch import nn

from samplegraph.export.denoiser.torch_export import export_module
from samplegraph.export.errors import ExportError
from samplegraph.export.graph.builder import CALL, DOMAIN, VISITED, keeps_name
from samplegraph.export.sampling.segment import Segment, whole
from samplegraph.export.signature import Signature
from samplegraph.models import Denoiser, Sampler


def trace_sampler(sampler: Sampler, sig: Signature, segment: Segment | None = None) -> ir.Model:
    """The steps of ``segment``, or all, with each evaluation as a node ``samplegraph::Denoiser(sample, *conditions)``.

    Works for every scheduler; the node's attribute ``point`` is the grid point. Outputs as of ``lower_sampler``.

    Raises:
        ExportError: the scheduler or the guidance cannot be traced.
    """
    traced = copy.copy(sampler)
    traced._modules = dict(sampler._modules)
    traced.denoiser = _OpaqueDenoiser(sampler, sig.model_conditions())
    segment = segment or whole(sampler, sig)
    batch = sig.example_batch
    examples: list[torch.Tensor] = []
    shapes: list[dict[int, Any]] = []
    axis = torch.export.Dim("batch")
    for t in segment.inputs:
        shape = [batch if isinstance(n, str) else n for n in t.shape]
        examples.append(torch.zeros(shape, dtype=getattr(torch, t.dtype)))
        shapes.append({i: axis for i, n in enumerate(t.shape) if isinstance(n, str)})
    dynamic = None if sig.batch else (tuple(shapes),)
    own = [t.name for t in segment.outputs]
    outputs = [*own, *(f"visited_{i}" for i in segment.indices[:-1])]
    model = export_module(_Flat(traced, segment), tuple(examples), segment.names, outputs, dynamic)
    for tensor, value in zip(segment.inputs, model.graph.inputs, strict=True):
        if any(isinstance(n, str) for n in tensor.shape) and all(isinstance(n, int) for n in value.shape or [0]):
            raise ExportError(
                f"{sampler.scheduler.name} cannot be traced for any batch: {tensor.name} became {value.shape}; give "
                "batch=B instead of 'dynamic'"
            )
    _unmark(model.graph)
    _rename(model.graph, "h.")
    _name_edges(model.graph, segment.names, own)
    return model


class _Flat(nn.Module):
    """A segment of the sampler with positional inputs: its outputs, and the marked samples after the earlier steps."""

    def __init__(self, sampler: Sampler, segment: Segment) -> None:
        super().__init__()
        self.sampler, self.segment = sampler, segment

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip(self.segment.names, tensors, strict=True))
        noise, step_noise = given.pop("noise", None), given.pop("step_noise", None)
        carried = tuple(given.pop(name) for name in self.segment.carried)
        *earlier, last = self.sampler.walk(self.segment.indices, carried, noise, step_noise, given)
        named = {"sample": last.sample, **{f"state_{j}": value for j, value in enumerate(last.state)}, "x0": last.x0}
        handed = [value for t in self.segment.outputs[1:] if (value := named[t.name]) is not None]
        values = (*handed, *(position.sample for position in earlier))
        return last.sample, *(_marked(value, k) for k, value in enumerate(values))


def _marked(x: torch.Tensor, number: int) -> torch.Tensor:
    """``x`` behind a node that no optimiser knows, and no other equals, so that each mark is an output of its own."""
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{VISITED}", (x,), {"number": number}, dtype=x.dtype, shape=x.shape, version=1
    )


def _unmark(graph: ir.Graph) -> None:
    """Let what was marked be the graph's output itself; a value that is one already is copied."""
    for k, output in enumerate(graph.outputs):
        node = output.producer()
        if node is not None and node.domain == DOMAIN and node.op_type == VISITED:
            assert node.inputs[0] is not None
            if node.inputs[0] in graph.outputs:
                copied = ir.node("Identity", [node.inputs[0]])
                copied.outputs[0].type, copied.outputs[0].shape = output.type, output.shape
                graph.insert_after(node, copied)
                graph.outputs[k] = copied.outputs[0]
            else:
                graph.outputs[k] = node.inputs[0]
            graph.remove(node, safe=True)


class _AnyNetwork(nn.Module):
    """Says that it takes any condition; never called."""

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, **conditions: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class _OpaqueDenoiser(Denoiser):
    """Stands in for the denoiser in a trace: the network becomes one symbolic node per evaluation."""

    def __init__(self, sampler: Sampler, names: list[str]) -> None:
        super().__init__(_AnyNetwork(), sampler.spec, sampler.scheduler, sampler.guidance)
        self.dtype = sampler.denoiser.dtype
        self.names = names

    def evaluate(self, sample: torch.Tensor, i: int, conditions: Mapping[str, torch.Tensor]) -> torch.Tensor:
        inputs = (sample.to(self.sample_dtype or self.dtype), *(conditions[name] for name in self.names))
        shape = self.output_shape(sample.shape)
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{CALL}", inputs, {"point": i}, dtype=self.dtype, shape=shape, version=1
        )


def _name_edges(graph: ir.Graph, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give inputs and outputs their names; a tensor that is two of these is copied."""
    for name, value in zip(inputs, graph.inputs, strict=True):
        value.name = name
    for k, name in enumerate(outputs):
        value = graph.outputs[k]
        if keeps_name(value) and value not in graph.outputs[:k]:
            value.name = name
        else:
            node = ir.Node("", "Identity", [value], num_outputs=1)
            node.outputs[0].name, node.outputs[0].type, node.outputs[0].shape = name, value.type, value.shape
            graph.append(node)
            graph.outputs[k] = node.outputs[0]


def _rename(graph: ir.Graph, prefix: str) -> None:
    """Keep the names of a trace apart from those of the denoiser."""
    for value in list(graph.initializers.values()):
        value.name = f"{prefix}{value.name}"
    for node in graph:
        for output in node.outputs:
            if output is not graph.outputs[0]:
                output.name = f"{prefix}{output.name}"


