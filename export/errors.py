"""The one error this package raises for bad input."""

from __future__ import annotations


class ExportError(ValueError):
    """A sampler, model or path that cannot be compiled. Its text is one line: what, its value, the fix."""


class VerificationError(ExportError):
    """The compiled graph does not compute what the sampler computes."""


def reason_of(what: str, error: BaseException) -> str:
    """One line: ``what``, and the first line of the first cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{what}: {type(error).__name__}: {lines[0] if lines else 'no reason given'}"
