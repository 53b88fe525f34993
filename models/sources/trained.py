"""What a scheduler's config says of the model it came with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from samplegraph.schedulers import (
    EDMSchedule,
    FlowSchedule,
    NoiseSchedule,
    OptionError,
    option_defaults,
    scheduler_class,
)
from samplegraph.schedulers.catalogue.config import name_of_config
from samplegraph.schedulers.grids.training import Schedule


@dataclass(frozen=True)
class Trained:
    """What a model was trained to predict, and under which noise; None is left to the scheduler."""

    prediction_type: str | None = None
    noise_schedule: Schedule | None = None


def trained_with(config: Mapping[str, Any] | None) -> Trained:
    """Read off a diffusers scheduler config; keys that are missing take the defaults of its class.

    Raises:
        OptionError: a value that no schedule can have.
    """
    if config is None:
        return Trained()
    known, kind = {}, None
    try:
        name = name_of_config(config, "scheduler")
        known, kind = option_defaults(name), scheduler_class(name).default_prediction_type
    except OptionError:  # a class that is not supported may still say what the model was trained with
        name = ""
    given = {**known, **{k: v for k, v in config.items() if not k.startswith("_")}}
    kind = given.get("prediction_type") or (kind if "prediction_type" in known else None)
    if kind == "flow_prediction":
        total = given.get("num_train_timesteps", 1000)
        return Trained(kind, None if given.get("invert_sigmas") else FlowSchedule(total))
    if name in ("edm_euler", "edm_dpm"):
        return Trained(kind, EDMSchedule(given["sigma_data"]))
    if given.get("beta_schedule") is None:
        return Trained(kind)
    own = {field.name: given[field.name] for field in fields(NoiseSchedule) if field.name in given}
    return Trained(kind, NoiseSchedule(**own))
