"""The one error this package raises for bad input."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A file or argument that cannot be used: one line of what, its value, what is allowed, the fix."""


class CancelledError(Exception):
    """A callback asked to stop."""


def suggest(word: object, allowed: Iterable[str], cutoff: float = 0.5) -> str:
    """``"; did you mean 'x'?"`` for the nearest of ``allowed``, or an empty string."""
    near = difflib.get_close_matches(str(word), list(allowed), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""


def one_line(text: object, limit: int = 300) -> str:
    """``text`` with every run of white space as one space, cut at ``limit`` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
