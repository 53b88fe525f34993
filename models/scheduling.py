"""The scheduler for a model: the one it came with, or another one set up as that was."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import nn

from samplegraph.models.spec import spec_of
from samplegraph.schedulers import OptionError, Scheduler, create, from_config, option_defaults, scheduler_class
from samplegraph.schedulers.catalogue.config import name_of_config, read_config


@runtime_checkable
class SetsScheduler(Protocol):
    """A model whose pipeline gives its scheduler more than its config says."""

    def scheduler_options(self, config: Mapping[str, Any], steps: int, sample_shape: Sequence[int]) -> dict[str, Any]:
        """Such as the shift of an image of that size."""


def scheduler_for(
    model: nn.Module,
    steps: int | None = None,
    name: str | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    sample_shape: Sequence[int] | None = None,
    **options: Any,
) -> Scheduler:
    """The scheduler that samples from ``model``.

    Args:
        steps: number of steps N.
        config: a ``scheduler_config.json`` in place of the model's.
        sample_shape: of one sample, where it is not the model's usual one; large images shift some schedules.
        name: a scheduler in place of the one that the model came with. As diffusers' ``from_config`` does, it takes
            over those options that it has too; a model that came with none declares a noise schedule, which it takes.
        options: these replace all others.

    Raises:
        OptionError: no name, and the model came without a scheduler; or as ``create`` and ``from_config`` raise.
    """
    if config is not None:
        given, _ = read_config(Path(config))
        return from_config(config, steps, **_completed(model, given, steps, sample_shape, options))
    spec = spec_of(model)
    if name is None:
        if spec.scheduler_config is None:
            raise OptionError(f"scheduler is missing: {spec.name} came with none; give a scheduler's name")
        given = spec.scheduler_config
        return from_config(given, steps, **_completed(model, given, steps, sample_shape, options))
    takes, cls = option_defaults(name), scheduler_class(name)
    if spec.scheduler_config is not None and cls.diffusers_class is not None:
        given = spec.scheduler_config
        if _names(given) != name:
            given = {k: v for k, v in given.items() if k in takes}
        given = {**given, "_class_name": cls.diffusers_class}
        return from_config(given, steps, **_completed(model, given, steps, sample_shape, options))
    if spec.noise_schedule is not None:
        declared = {k: v for k, v in vars(spec.noise_schedule).items() if k in takes}
        if not any(k in options for k in declared):
            options = {**declared, **options}
    return create(name, steps, **options)


def _completed(
    model: nn.Module,
    config: Mapping[str, Any],
    steps: int | None,
    sample_shape: Sequence[int] | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """``options``, and behind them what the model's pipeline would give to a scheduler that takes it."""
    shape, name = sample_shape or spec_of(model).sample_shape, _names(config)
    if not isinstance(model, SetsScheduler) or steps is None or steps < 1 or shape is None or name is None:
        return dict(options)
    takes = option_defaults(name)
    own = model.scheduler_options({**config, **options}, steps, shape)
    if "timesteps" in options:
        own.pop("sigmas", None)
    return {**{k: v for k, v in own.items() if k in takes}, **options}


def _names(config: Mapping[str, Any]) -> str | None:
    """The scheduler that ``config`` is for, None where it is not supported."""
    try:
        return name_of_config(config, "scheduler")
    except OptionError:
        return None
