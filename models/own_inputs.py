"""Checks of a sampler's inputs besides noise and the model's conditions: a clean sample, a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from samplegraph.models.task import INIT, NOISE
from samplegraph.schedulers import OptionError
from samplegraph.schedulers.base import Input


def check_ranges(inputs: Sequence[Input], given: Mapping[str, torch.Tensor]) -> None:
    """Look at the values of the inputs that have limits.

    Raises:
        OptionError: a value outside them, or NaN.
    """
    for own in inputs:
        if own.name in given and own.minimum is not None and own.maximum is not None:
            value = given[own.name]
            bad = value[~((value >= own.minimum) & (value <= own.maximum))]
            if bad.numel():
                raise OptionError(
                    f"{own.name} holds {bad[0].item():g}; give values from {own.minimum:g} to {own.maximum:g}"
                )


def own_inputs(
    inputs: Sequence[Input], name: str, given: Mapping[str, torch.Tensor], noise: torch.Tensor | None, draws: bool
) -> dict[str, torch.Tensor]:
    """These inputs, and ``noise`` where the sampler ``draws`` its first sample.

    Raises:
        OptionError: one is missing or is not shaped for the samples, or noise is given where there is none.
    """
    if draws and noise is None:
        raise OptionError(f"noise is missing; {name} takes unit noise, (B, ...)")
    if noise is not None and not draws:
        raise OptionError(f"noise is given, but {name} takes none; give {INIT} alone")
    for own in inputs:
        if own.name not in given:
            raise OptionError(f"{own.name} is missing; {name} takes it: {own.description}")
        like = given[INIT] if noise is None else noise
        shape, wanted = tuple(given[own.name].shape), (like.shape[0], *own.shape(tuple(like.shape[1:])))
        if len(shape) != len(wanted) or any(n not in (1, m) for n, m in zip(shape, like.shape, strict=True)):
            raise OptionError(f"{own.name} has shape {shape}; for these samples give {wanted}")
    found = {own.name: given[own.name] for own in inputs}
    return found if noise is None else {**found, NOISE: noise}
