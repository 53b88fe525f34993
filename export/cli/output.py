"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder: renamed to ``path`` at the end, removed on any failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
