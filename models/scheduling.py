"""The scheduler for a model: the one it came with, or another one set up as that was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from samplegraph.models.spec import spec_of
from samplegraph.schedulers import OptionError, Scheduler, create, from_config, option_defaults, scheduler_class
from samplegraph.schedulers.config import name_of_config


def scheduler_for(model: nn.Module, steps: int | None = None, name: str | None = None, **options: Any) -> Scheduler:
    """The scheduler that samples from ``model``.

    Args:
        steps: number of steps N.
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
        return from_config(config, steps, **options)
    takes, cls = option_defaults(name), scheduler_class(name)
    if config is not None and cls.diffusers_class is not None:
        if _names(config) != name:
            config = {k: v for k, v in config.items() if k in takes}
        return from_config({**config, "_class_name": cls.diffusers_class}, steps, **options)
    own = spec.noise_schedule
    if own is not None:
        declared = {k: v for k, v in vars(own).items() if k in takes}
        if not any(k in options for k in declared):
            options = {**declared, **options}
    return create(name, steps, **options)


def _names(config: Mapping[str, Any]) -> str | None:
    """The scheduler that ``config`` is for, None where it is not supported."""
    try:
        return name_of_config(config, "scheduler")
    except OptionError:
        return None
