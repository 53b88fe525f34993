"""The one error this package raises for bad input."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OptionError(ValueError):
    """An argument that cannot be honoured. Its text is one line: argument, value, what is allowed, the fix."""


def suggest(word: str, allowed: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest of ``allowed``, or an empty string."""
    near = difflib.get_close_matches(str(word), list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``allowed``.

    Raises:
        OptionError: it is not.
    """
    choices = list(allowed)
    if not isinstance(value, str) or value not in choices:
        raise OptionError(
            f"{name}={value!r} is not known; choose one of {', '.join(choices)}{suggest(str(value), choices)}"
        )
    return value


def in_range(name: str, value: object, low: float, high: float) -> float:
    """Return ``value`` as a float if ``low <= value <= high``.

    Raises:
        OptionError: it is not a number, is not finite where the range is, or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise OptionError(f"{name}={value!r} is not allowed; give a number from {low:g} to {high:g}")
    try:
        return float(value)
    except OverflowError as error:
        raise OptionError(f"{name} has {len(str(value))} digits; give a number from {low:g} to {high:g}") from error


def flag(name: str, value: object) -> bool:
    """Return ``value`` if it is a bool.

    Raises:
        OptionError: it is not.
    """
    if not isinstance(value, bool):
        raise OptionError(f"{name}={value!r} is not allowed; give true or false")
    return value


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return ``value`` if it is a whole number with ``low <= value`` (and ``<= high`` where given).

    Raises:
        OptionError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        span = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise OptionError(f"{name}={value!r} is not allowed; give a whole number {span}")
    return value
