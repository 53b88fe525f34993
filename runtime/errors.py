"""The one error this package raises for bad input."""

from __future__ import annotations


class InputError(ValueError):
    """A file or argument that cannot be used. Its text is one line: what, its value, what is allowed, the fix."""
