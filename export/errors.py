"""The one error this package raises for bad input."""

from __future__ import annotations


class ExportError(ValueError):
    """A sampler, model or path that cannot be compiled. Its text is one line: what, its value, the fix."""


class VerificationError(ExportError):
    """The compiled graph does not compute what the sampler computes."""
