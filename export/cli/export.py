"""``samplegraph export``: written together with the compiler."""

from __future__ import annotations

from samplegraph.runtime import InputError

EXAMPLE = "samplegraph export"


def export() -> None:
    """Not there yet."""
    raise InputError("export is not there yet")
