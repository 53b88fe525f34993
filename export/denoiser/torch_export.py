"""torch's ONNX exporter, quiet, with its optimiser."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
from torch import nn

from samplegraph.export.denoiser.optimise import optimise
from samplegraph.export.errors import ExportError, reason_of
from samplegraph.export.graph.builder import OPSET
from samplegraph.models.sources.onnx_refusals import RANDOM_OPS

_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch._subclasses.fake_tensor")


class NotTracedError(ExportError):
    """torch cannot trace a module."""


def trace_module(module: nn.Module, args: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram | None:
    """What the module does with tensors of these shapes; None where ``export_module`` has to find another way."""
    with _evaluating(module), quiet_exporters():
        try:
            return torch.export.export(module, args, strict=False)
        except Exception:
            return None


def export_module(
    module: nn.Module | torch.export.ExportedProgram,
    args: tuple[torch.Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Any,
    what: str = "the model",
) -> ir.Model:
    """torch's exporter, quiet, with its optimiser, of a module or of what ``trace_module`` made of it.

    Args:
        what: the module, in errors.

    Raises:
        NotTracedError: torch cannot trace the module or translate what it does.
        ExportError: it draws random numbers.
    """
    try:
        with _evaluating(module), quiet_exporters():
            program = torch.onnx.export(
                module,
                args,
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamic_shapes=dynamic,
                optimize=False,
                verbose=False,
            )
            assert program is not None
            optimise(program.model)
    except Exception as error:
        raise NotTracedError(reason_of(f"torch.onnx.export cannot capture {what}", error)) from error
    model = program.model
    for node in model.graph.all_nodes():
        if node.op_type in RANDOM_OPS:
            raise ExportError(
                f"{what} draws random numbers (op {node.op_type}); pass randomness in as a condition, or call "
                "model.eval() and remove it"
            )
    return model


@contextmanager
def _evaluating(module: nn.Module | torch.export.ExportedProgram) -> Iterator[None]:
    """A module in its mode for evaluation, without gradients."""
    was_training = []
    if isinstance(module, nn.Module):
        was_training = [m for m in module.modules() if m.training]
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for each in was_training:
            each.training = True


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Silences the exporter's progress, its warnings about packages that nothing here needs, and what it raises too."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
