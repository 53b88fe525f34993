"""Schedulers from and to diffusers' ``scheduler_config.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from samplegraph.schedulers.base import Scheduler
from samplegraph.schedulers.catalogue.config_keys import INERT, is_inert
from samplegraph.schedulers.catalogue.refused import REFUSED
from samplegraph.schedulers.catalogue.registry import (
    create,
    diffusers_classes,
    option_defaults,
    own_defaults,
    scheduler_class,
)
from samplegraph.schedulers.catalogue.respacing_flags import RESPACING_FLAGS
from samplegraph.schedulers.errors import OptionError, suggest

#: Arguments of diffusers' ``set_timesteps`` and ``step``: no keys of its configs.
_ARGUMENTS = ("timesteps", "sigmas", "exact_tables")
#: Keys without which a diffusers class cannot be made: written though they are our defaults.
_REQUIRED = ("num_vec_classes",)


def from_config(
    config: Mapping[str, Any] | str | os.PathLike[str], steps: int | None = None, **options: Any
) -> Scheduler:
    """Build the scheduler that a diffusers config describes.

    Keys that are missing take the diffusers class's defaults; ``prediction_type`` is then the model's own.

    Args:
        config: a ``scheduler_config.json`` (path, or the folder it lies in) or its content; ``_class_name``
            decides. Keys that start with ``_`` are metadata.
        steps: number of steps N.
        options: what the diffusers class's ``set_timesteps`` and ``step`` take (``timesteps``, ``sigmas``,
            ``eta``, ``s_churn``, ...), and keys that replace those of the config. Custom ``sigmas`` replace the
            config's respacing.

    Raises:
        OptionError: the file cannot be read, its class is not supported, or keys are unknown or ask for what
            this scheduler does not have; all of them are named.
    """
    if not isinstance(config, Mapping | str | os.PathLike):
        raise OptionError(f"config={config!r} is not allowed; give the content or the path of a scheduler_config.json")
    content, where = (config, "config") if isinstance(config, Mapping) else read_config(Path(config))
    name = name_of_config(content, where)
    cls = scheduler_class(name)
    given = {k: v for k, v in content.items() if not k.startswith("_")}
    if options.get("sigmas") is not None and not (cls.reworks_tables or "sigmas" in cls.diffusers_arguments):
        given = {k: v for k, v in given.items() if k not in RESPACING_FLAGS}
    aliases = cls.diffusers_aliases
    given = {k: aliases.get(k, {}).get(v, v) if v is None or isinstance(v, str) else v for k, v in given.items()}
    unread = (*cls.diffusers_ignored, *(("beta_schedule",) if given.get("trained_betas") is not None else ()))
    given = {k: v for k, v in given.items() if k not in unread}
    given |= {cls.diffusers_arguments.get(k, k): v for k, v in options.items()}
    if cls.diffusers_steps is not None and steps not in cls.diffusers_steps:
        allowed = ", ".join(map(str, cls.diffusers_steps))
        raise OptionError(f"steps={steps!r} is not allowed by {cls.diffusers_class}, which takes {allowed} only")
    if steps is not None and cls.diffusers_extra_steps:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps <= cls.diffusers_extra_steps:
            raise OptionError(f"steps={steps!r} is not allowed by {cls.diffusers_class}; give at least 2")
        steps -= cls.diffusers_extra_steps
    own = set(option_defaults(name)) | {f for f, r in RESPACING_FLAGS.items() if r in _respacings(cls)}
    _refuse_foreign(cls, {k: v for k, v in given.items() if k not in own}, own)
    _refuse_values(cls, given)
    if given.get("prediction_type") is None and _reads_prediction_type(given, own):
        given["prediction_type"] = "epsilon"
    return create(name, steps, **{k: v for k, v in given.items() if k in own})


def save_config(scheduler: Scheduler, path: str | os.PathLike[str]) -> None:
    """Write a ``scheduler_config.json`` that diffusers loads to the same grid and ``from_config`` reads back.

    Options that diffusers passes to ``set_timesteps`` and ``step`` are written where they are not the default;
    diffusers ignores them there.

    Raises:
        OptionError: the scheduler or an option has no name in diffusers, or the file cannot be written.
    """
    cls, config = type(scheduler), dict(scheduler.config)
    if cls.diffusers_class is None:
        raise OptionError(
            f"{scheduler.name} has no class in diffusers, so no scheduler_config.json stands for it; keep its name and "
            "options, which create() takes"
        )
    _refuse_values(cls, config)
    defaults, own = option_defaults(scheduler.name), own_defaults(cls)
    respacing = config.pop("respacing", None)
    written: dict[str, Any] = {"_class_name": cls.diffusers_class}
    written |= {flag: respacing == r for flag, r in RESPACING_FLAGS.items() if r in _respacings(cls)}
    for key, value in config.items():
        is_argument = key in _ARGUMENTS or (key in own and key not in INERT)
        if key not in _REQUIRED and (
            (value is None and key != "trained_betas") or (is_argument and value == defaults[key])
        ):
            continue
        written[key] = list(value) if isinstance(value, tuple) else value
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        partial.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise OptionError(f"{target}: cannot be written ({error.strerror}); choose another path") from error


def read_config(path: Path) -> tuple[Mapping[str, Any], str]:
    """The content of a ``scheduler_config.json``, or of the one in a folder, and its path.

    Raises:
        OptionError: it cannot be read, or is not a JSON object.
    """
    if path.is_dir():
        path = path / "scheduler_config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: cannot be read ({error.strerror}); give a scheduler_config.json") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path}: is not JSON ({error}); give a whole scheduler_config.json") from error
    if not isinstance(content, dict):
        raise OptionError(f"{path}: holds a JSON {type(content).__name__}, not an object; give a scheduler_config.json")
    return content, str(path)


def name_of_config(content: Mapping[str, Any], where: str) -> str:
    """The scheduler that a diffusers config is for.

    Raises:
        OptionError: its class is not supported.
    """
    known = diffusers_classes()
    asked = content.get("_class_name")
    if asked is None:
        raise OptionError(f"{where}: has no _class_name; add one of {', '.join(map(str, known))}")
    for cls_name, reason in REFUSED.values():
        if asked == cls_name:
            raise OptionError(f"{where}: _class_name={asked!r} is not among the schedulers: {reason}; choose another")
    if not isinstance(asked, str) or asked not in known:
        choices = [str(c) for c in known]
        raise OptionError(
            f"{where}: _class_name={asked!r} is not supported; supported are {', '.join(choices)}"
            f"{suggest(str(asked), choices)}"
        )
    return known[asked]


def _respacings(cls: type[Scheduler]) -> tuple[object, ...]:
    return cls.diffusers_values.get("respacing", ())


def _reads_prediction_type(given: Mapping[str, Any], own: Iterable[str]) -> bool:
    """Whether the scheduler has to be told what the model predicts, which diffusers then takes to be epsilon."""
    churned = "timestep_type" in own and (given.get("timestep_type") == "continuous" or bool(given.get("s_churn")))
    return churned or bool(given.get("solver_p"))


def _refuse_foreign(cls: type[Scheduler], foreign: Mapping[str, Any], own: Iterable[str]) -> None:
    known = sorted({*own, *INERT})
    wrong = [
        f"{k}={v!r} asks for what it does not have" if k in INERT else f"{k!r} is not known{suggest(k, known)}"
        for k, v in foreign.items()
        if not is_inert(k, v)
    ]
    if wrong:
        raise OptionError(f"{cls.diffusers_class}: {'; '.join(wrong)}; remove or change these keys")


def _refuse_values(cls: type[Scheduler], given: Mapping[str, Any]) -> None:
    """Refuse values of known options that the diffusers class itself does not take."""
    for key, allowed in {"respacing_rho": (), **cls.diffusers_values}.items():
        value = given.get(key)
        if value is not None and value not in allowed:
            raise OptionError(
                f"{cls.diffusers_class} does not take {key}={value!r}; it takes {', '.join(map(repr, allowed))}"
            )
