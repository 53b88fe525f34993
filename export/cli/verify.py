"""``samplegraph verify``: written together with the compiler."""

from __future__ import annotations

from samplegraph.runtime import InputError

EXAMPLE = "samplegraph verify"


def verify() -> None:
    """Not there yet."""
    raise InputError("verify is not there yet")
