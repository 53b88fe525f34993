"""Output paths, checked before any work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from samplegraph.runtime import InputError


def check_output(path: Path, suffixes: Sequence[str]) -> None:
    """Refuse, before any work is done, a path that cannot be written.

    Raises:
        InputError: another suffix, a folder, or a place where nothing can be created.
    """
    allowed = " or ".join(suffixes)
    if path.suffix.lower() not in suffixes:
        raise InputError(
            f"output={path} ends in {path.suffix or 'nothing'}; give a name that ends in {allowed}"
        )
    if path.is_dir():
        raise InputError(f"output={path} is a folder; give the name of a file in it")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"output={path}: {folder} is not a folder; choose another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"output={path}: {folder} cannot be written to; choose another place")
