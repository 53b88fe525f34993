"""Captures a module in front or behind as ONNX IR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir
import torch
from torch import nn
from torch._ops import OpOverload

from samplegraph.export.denoiser.capture_cache import CaptureCache
from samplegraph.export.denoiser.torch_export import NotTracedError, export_module, trace_module
from samplegraph.export.errors import ExportError, reason_of
from samplegraph.export.passes.pipeline import tidy_module
from samplegraph.export.storage.raw import Digests
from samplegraph.models import Back, Front


def capture_stage(
    stage: Front | Back,
    examples: Mapping[str, torch.Tensor],
    axis: str | None,
    cache: CaptureCache | None,
    digests: Digests,
) -> ir.Model:
    """The stage as a graph from ``examples``, (B, ...), to its results in order, optimised and tidied.

    Args:
        axis: name of a symbolic batch axis; None for a static one.
        cache: where a capture for a static batch is looked for and kept.
        digests: those of the module's weights, as far as they are known.

    Raises:
        ExportError: it cannot be captured, draws random numbers, or changes a buffer of its own or its input.
    """
    names = list(examples)
    gives = stage.gives if isinstance(stage, Front) else (stage.spec.name,)
    module, args = _Positional(stage, names), tuple(examples.values())
    program = trace_module(module, args)
    if program is not None:
        _refuse_side_effects(program, stage.label)
    outputs = [f"given.{name}" for name in gives]  # an input may be called like a result
    dynamic = None if axis is None else (tuple({0: torch.export.Dim(axis)} for _ in names),)

    def export(traced: nn.Module | torch.export.ExportedProgram) -> ir.Model:
        model = export_module(traced, args, names, outputs, dynamic, stage.label)
        tidy_module(model)
        return model

    try:
        if program is None or cache is None or axis is not None:
            model = export(module)
        else:
            model = cache.get(program, names, digests, lambda: export(program))
    except NotTracedError as error:
        try:
            with torch.no_grad():
                module(*args)
        except Exception as cause:
            raise ExportError(reason_of(f"{stage.label} cannot be called with its inputs", cause)) from cause
        raise error
    if axis is not None and any(v.shape is None or isinstance(v.shape[0], int) for v in model.graph.inputs):
        raise ExportError(
            f"{stage.label} makes a plain number of its batch, as len(x) and int(x.shape[0]) do; use x.shape[0] and no "
            "numbers, or give batch=B instead of 'dynamic'"
        )
    return model


def _refuse_side_effects(program: torch.export.ExportedProgram, label: str) -> None:
    if not any(isinstance(n.target, OpOverload) and n.target._schema.is_mutable for n in program.graph.nodes):
        return
    signature = program.run_decompositions({}).graph_signature  # which writes such operators out
    changed = [*signature.buffers_to_mutate.values()]
    if changed:
        name = changed[0].removeprefix("network.module.")
        raise ExportError(f"{label} changes its buffer {name!r}; a graph keeps no state: return a value instead")
    if signature.user_inputs_to_mutate:
        raise ExportError(f"{label} changes its input in place; write x = x + y in place of x += y")


class _Positional(nn.Module):
    """A stage with positional inputs and results."""

    def __init__(self, stage: Front | Back, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = stage, tuple(names)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if isinstance(self.network, Back):
            return (self.network(*tensors),)
        results = self.network(**dict(zip(self.names, tensors, strict=True)))
        return tuple(results[name] for name in self.network.gives)
