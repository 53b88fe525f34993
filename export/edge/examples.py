"""Example values of a sampler's conditions, and what the manifest says of an input like them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from samplegraph.export.errors import ExportError
from samplegraph.models.guidance import NEGATIVE, SCALE
from samplegraph.models.spec import CONDITION_DTYPES, Condition
from samplegraph.runtime.manifest import RESERVED, Tensor

#: Names that no condition can have: other graph inputs and outputs, the denoiser's arguments, a call's keywords.
TAKEN = ("noise", "step_noise", "init_sample", "mask", "sample", "timestep", SCALE, *RESERVED)


def check_name(name: str) -> None:
    """Names of conditions are names of graph inputs and keywords of a runtime's call."""
    if name in TAKEN or name.startswith(NEGATIVE) or not name.isidentifier():
        raise ExportError(
            f"condition {name!r} is a name that is taken ({', '.join(TAKEN)}, {NEGATIVE}...) or no identifier; rename "
            "the model's argument"
        )


def usual_shape(c: Condition) -> tuple[int, ...]:
    shape = c.usual_shape
    if shape is None:
        raise ExportError(
            f"condition {c.name} has no usual shape, the model takes {axes_text(c)}; give an example, as --condition "
            f"{c.name}={c.dtype}:{','.join('8' if n is None else str(n) for n in c.shape)} does"
        )
    return shape


def axes_text(c: Condition) -> str:
    axes = (None, *c.shape[1:]) if c.any_length else c.shape
    return f"({', '.join(['B', *('any' if n is None else str(n) for n in axes)])})"


def example_of(c: Condition) -> float:
    return 0.0 if c.minimum is None else c.minimum


def rows_of(name: str, value: Any, declared: Condition | None, batch: int) -> torch.Tensor:
    """``value`` as a tensor of B rows."""
    try:
        tensor = value.detach().cpu() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise ExportError(f"condition {name}={value!r} is not an array; give numbers, (B, ...)") from error
    if tensor.dtype == torch.float64:
        tensor = tensor.float()
    if tensor.is_complex() or (declared is None and dtype_of(tensor) not in CONDITION_DTYPES):
        raise ExportError(f"condition {name} is {tensor.dtype}; give one of {', '.join(CONDITION_DTYPES)}")
    if declared is not None:
        _check_values(tensor, declared)
        tensor = tensor.to(getattr(torch, declared.dtype))
        if tensor.ndim == len(declared.shape) and declared.takes(tensor.shape):
            tensor = tensor[None]
        if not declared.takes(tensor.shape[1:]):
            shape = tuple(tensor.shape)
            raise ExportError(f"condition {name} has shape {shape}; the model takes {axes_text(declared)}")
    if tensor.ndim == 0:
        tensor = tensor[None]
    if tensor.shape[0] not in (1, batch):
        raise ExportError(f"condition {name} has {tensor.shape[0]} rows; give 1 row or {batch}")
    return tensor.expand(batch, *tensor.shape[1:]).contiguous()


def condition_tensor(
    name: str, own: str, role: str, example: torch.Tensor, declared: Condition | None, axis: int | str
) -> Tensor:
    text = declared.description if declared else ""
    return Tensor(
        name,
        dtype_of(example),
        (axis, *example.shape[1:]),
        role,
        f"unconditional twin of {own}" if role == "negative" else text,
        minimum=declared.minimum if declared else None,
        maximum=declared.maximum if declared else None,
    )


def dtype_of(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_values(tensor: torch.Tensor, c: Condition) -> None:
    low, high = c.minimum if c.minimum is not None else -math.inf, c.maximum if c.maximum is not None else math.inf
    for value in tensor.flatten().tolist():
        if not low <= value <= high:
            raise ExportError(f"condition {c.name}={value:g} is out of range; give values from {low:g} to {high:g}")
        if c.dtype.startswith("int") and value != int(value):
            raise ExportError(f"condition {c.name}={value:g} is not a whole number; the model takes {c.dtype}")
