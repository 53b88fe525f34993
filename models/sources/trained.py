"""What a scheduler's config says of the model it came with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from samplegraph.schedulers import NoiseSchedule, OptionError, option_defaults
from samplegraph.schedulers.config import name_of_config


@dataclass(frozen=True)
class Trained:
    """What a model was trained to predict, and under which noise; None is left to the scheduler."""

    prediction_type: str | None = None
    noise_schedule: NoiseSchedule | None = None


def trained_with(config: Mapping[str, Any] | None) -> Trained:
    """Read off a diffusers scheduler config; keys that are missing take the defaults of its class.

    Raises:
        OptionError: a value that no schedule can have.
    """
    if config is None:
        return Trained()
    try:
        known = option_defaults(name_of_config(config, "scheduler"))
    except OptionError:  # a class that is not supported may still say what the model was trained with
        known = {}
    given = {**known, **{k: v for k, v in config.items() if not k.startswith("_")}}
    kind = given.get("prediction_type")
    if kind is None and "prediction_type" in known:
        kind = "epsilon"
    if given.get("beta_schedule") is None:
        return Trained(kind)
    own = {field.name: given[field.name] for field in fields(NoiseSchedule) if field.name in given}
    return Trained(kind, NoiseSchedule(**own))
