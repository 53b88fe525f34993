"""Respacings as people ask for them: by diffusers' switches, and not beside tables of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from samplegraph.schedulers.errors import OptionError, flag

#: The field's spelling of a respacing as a switch of its own.
RESPACING_FLAGS = {
    "use_karras_sigmas": "karras",
    "use_exponential_sigmas": "exponential",
    "use_beta_sigmas": "beta",
    "use_lu_lambdas": "lu",
}


def fold_respacing(name: str, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Replace diffusers' ``use_..._sigmas`` switches by the one option ``respacing``."""
    flags = {k: v for k, v in options.items() if k in RESPACING_FLAGS}
    rest = {k: v for k, v in options.items() if k not in RESPACING_FLAGS}
    respacing = respacing_of(flags)
    if respacing is None:
        return rest
    if "respacing" not in defaults:
        raise OptionError(f"{next(iter(flags))!r} is not an option of {name}, which takes no respacing")
    if rest.get("respacing") not in (None, respacing):
        raise OptionError(f"respacing={rest['respacing']!r} and {next(iter(flags))} are both given; give one of them")
    return {**rest, "respacing": respacing}


def respacing_of(flags: Mapping[str, object]) -> str | None:
    """The respacing that diffusers' switches ask for.

    Raises:
        OptionError: two of them are on, or one is not a bool.
    """
    on = [name for name, value in flags.items() if flag(name, value if value is not None else False)]
    if len(on) > 1:
        raise OptionError(f"{' and '.join(on)} are both on; choose one respacing")
    return RESPACING_FLAGS[on[0]] if on else None


def refuse_respaced_tables(options: Mapping[str, object]) -> None:
    """Refuse a respacing beside custom timesteps or sigmas.

    Raises:
        OptionError: both are given.
    """
    for name in ("timesteps", "sigmas"):
        if options.get(name) is not None and options.get("respacing") is not None:
            raise OptionError(f"{name} and respacing={options['respacing']!r} are both given; give one of them")
