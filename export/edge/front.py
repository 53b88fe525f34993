"""Modules in front of a sampler: examples of what they take, and whether the sampler takes what they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from samplegraph.export.edge.examples import axes_text, check_name, dtype_of, example_of, rows_of, usual_shape
from samplegraph.export.errors import ExportError
from samplegraph.models import Sampler


def front_examples(sampler: Sampler, given: dict[str, Any], count: int) -> dict[str, torch.Tensor]:
    """Examples of what modules in front take, taken out of ``given`` where they are there."""
    examples = {}
    for name, declared in sampler.entrance.inlet.inputs.items():
        check_name(name)
        if name in given:
            value = given.pop(name)
        elif declared is not None:
            value = np.full(usual_shape(declared), example_of(declared), dtype=declared.dtype)
        else:
            raise ExportError(
                f"condition {name!r} is missing: a module in front takes it and does not declare its shape; give an "
                f"example, as --condition {name}=float32:8 does, or declare spec = FrontSpec(inputs=...)"
            )
        examples[name] = rows_of(name, value, declared, count)
    return examples


def check_results(sampler: Sampler, made: Mapping[str, torch.Tensor], shape: Sequence[int]) -> None:
    """What modules in front give has to be what the sampler takes."""
    for name, value in made.items():
        own = next((each for each in sampler.inputs if each.name == name), None)
        declared, found = sampler.spec.condition(name), tuple(value.shape[1:])
        if own is not None:
            axes = own.shape(tuple(shape[1:]))
            fits, wanted = found == axes and value.dtype == torch.float32, f"float32 {('B', *axes)}"
        elif declared is not None:
            fits = declared.takes(found) and dtype_of(value) == declared.dtype
            wanted = f"{declared.dtype} {axes_text(declared)}"
        else:
            continue
        if not fits:
            label = next(each.label for each in sampler.entrance.inlet.fronts if name in each.gives)
            raise ExportError(f"{label} gives {name} as {dtype_of(value)} {('B', *found)}; the model takes {wanted}")
