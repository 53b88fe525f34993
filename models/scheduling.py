"""The scheduler for a model: the one it came with, or another one set up as that was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import nn

from samplegraph.models.spec import spec_of
from samplegraph.schedulers import OptionError, Scheduler, create, from_config, option_defaults, scheduler_class
from samplegraph.schedulers.config import name_of_config


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
    sample_shape: Sequence[int] | None = None,
    **options: Any,
) -> Scheduler:
    """The scheduler that samples from ``model``.

    Args:
        steps: number of steps N.
        sample_shape: of one sample, where it is not the model's usual one; large images shift some schedules.
        name: a scheduler in place of the one that the model came with. As diffusers' ``from_config`` does, it takes
            over those options that it has too; a model that came with none declares a noise schedule, which it takes.
        options: these replace all others.

    Raises:
        OptionError: no name, and the model came without a scheduler; or as ``create`` and ``from_config`` raise.
    """
    spec = spec_of(model)
    config = spec.scheduler_config
    if name is None:
        if config is None:
            raise OptionError(f"scheduler is missing: {spec.name} came with none; give a scheduler's name")
        return from_config(config, steps, **_completed(model, config, steps, sample_shape, options))
    takes, cls, given = option_defaults(name), scheduler_class(name), dict(options)
    if config is not None and cls.diffusers_class is not None:
        if _names(config) != name:
            config = {k: v for k, v in config.items() if k in takes}
        options = _completed(model, config, steps, sample_shape, options)
        options = {k: v for k, v in options.items() if k in takes or k in given}
        return from_config({**config, "_class_name": cls.diffusers_class}, steps, **options)
    own = spec.noise_schedule
    if own is not None:
        declared = {k: v for k, v in vars(own).items() if k in takes}
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
    """``options``, and behind them what the model's pipeline would give."""
    shape = sample_shape or spec_of(model).sample_shape
    if not isinstance(model, SetsScheduler) or steps is None or steps < 1 or shape is None:
        return dict(options)
    own = model.scheduler_options({**config, **options}, steps, shape)
    return {**{k: v for k, v in own.items() if k != "sigmas" or "timesteps" not in options}, **options}


def _names(config: Mapping[str, Any]) -> str | None:
    """The scheduler that ``config`` is for, None where it is not supported."""
    try:
        return name_of_config(config, "scheduler")
    except OptionError:
        return None
