"""Writes files so that a failed or killed run leaves the previous ones intact."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from samplegraph.export.errors import ExportError

#: Scratch folders in use, for an end of the process that runs no ``finally``.
_SCRATCH: set[str] = set()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to ``path`` if the block succeeds and removed if it does not.

    Raises:
        ExportError: the folder cannot be made or written to, or the disk is full.
    """
    with replacing_together([path]) as (temporary,):
        yield temporary


@contextmanager
def replacing_together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """``replacing`` for files that belong together: none is renamed before all are on the disk. Renamed in order.

    Raises:
        ExportError: as ``replacing``, or one of ``paths`` is a folder.
    """
    temporaries: list[Path] = []
    path = paths[0]
    try:
        for path in paths:
            if path.is_dir():
                raise ExportError(f"output {path} is a folder; remove it or choose another name")
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
            os.close(handle)
            temporaries.append(Path(name))
        yield temporaries
        umask = os.umask(0)
        os.umask(umask)
        for temporary in temporaries:
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o666 & ~umask)
        for path, temporary in zip(paths, temporaries, strict=True):
            temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise ExportError(f"output {path} cannot be written ({reason}); choose another folder") from error
    finally:
        for temporary in temporaries:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed after the block, or by ``remove_scratch_folders``.

    Raises:
        ExportError: it cannot be made.
    """
    try:
        name = tempfile.mkdtemp(prefix="samplegraph-")
    except OSError as error:
        reason = error.strerror or error
        raise ExportError(f"no temporary folder can be made ({reason}); set TMPDIR to one with room") from error
    _SCRATCH.add(name)
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
        _SCRATCH.discard(name)


def remove_scratch_folders() -> None:
    """Remove what a thread that is about to be left behind has in use."""
    for name in list(_SCRATCH):
        shutil.rmtree(name, ignore_errors=True)
