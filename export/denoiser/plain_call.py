"""What a plain call of a model says about it, and what its output is shaped like."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
import torch
from torch import nn

from samplegraph.export.errors import ExportError, reason_of


def call_plainly(network: nn.Module, examples: tuple[torch.Tensor, ...]) -> None:
    """One plain evaluation.

    Raises:
        ExportError: it fails.
    """
    with torch.no_grad():
        try:
            network(*examples)
        except Exception as error:
            what = "the model cannot be called with sample, timestep and its conditions"
            raise ExportError(reason_of(what, error)) from error


def check_shape(output: ir.Value, sample: Sequence[int], wanted: Sequence[int], why: str = "") -> None:
    """The output's shape, as far as it is known; the batch axis may be symbolic.

    Raises:
        ExportError: it is not ``wanted``.
    """
    shape = None if output.shape is None else [n if isinstance(n, int) else None for n in output.shape]
    if shape is None or (len(shape) == len(wanted) and all(n in (None, m) for n, m in zip(shape, wanted, strict=True))):
        return
    found = tuple(sample[i] if n is None and i < len(sample) else n for i, n in enumerate(shape))
    asked = "shaped like its sample" if tuple(wanted) == tuple(sample) else f"of shape {tuple(wanted)}{why}"
    raise ExportError(
        f"the model's output has shape {found}, its sample {tuple(sample)}; a denoiser has to return a tensor {asked}"
    )
