"""One version of a model in a Triton model repository, written so that it is there whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samplegraph.export.errors import ExportError

CONFIG = "config.pbtxt"
#: Of a version and of ``max_batch_size``.
LARGEST = 2**31 - 1
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_target(repository: Path, name: str, version: int, force: bool) -> None:
    """Refuse a place that cannot hold this version.

    Raises:
        ExportError: a name that is no folder's, a version out of range or there already, or a file in the way.
    """
    if not _NAME.fullmatch(name) or len(name) > 200:
        raise ExportError(f"name={name!r} is not allowed; give letters, digits, '_', '-' and '.', no '.' in front")
    if not 1 <= version <= LARGEST:
        raise ExportError(f"version={version} is not allowed; give a whole number from 1 to {LARGEST}")
    for folder in (repository, repository / name):
        if folder.exists() and not folder.is_dir():
            raise ExportError(f"repository={str(repository)!r}: {folder} is a file; give a folder")
    if (repository / name / str(version)).exists() and not force:
        raise ExportError(f"version={version} of {repository / name} exists; give another version, or --force")


@dataclass(frozen=True)
class Content:
    """One version of a model: what a path below its folder holds, a copy of a file or bytes, and its config.pbtxt."""

    name: str
    config: str
    files: Mapping[str, Path | bytes]


def write_version(models: Sequence[Content], repository: Path, version: int, force: bool) -> None:
    """Write that version of each model; all are on the disk before the first is renamed into place, the last one last.

    A new model is renamed into place as one folder, a further version of a model as the version's folder. What is
    replaced is put back where a later rename fails.

    Raises:
        ExportError: a model has a config.pbtxt that says otherwise and ``force`` is not set, or files cannot be
            written.
    """
    for model in models:
        old = repository / model.name / CONFIG
        if old.exists() and not force and not _says(old, model.config):
            raise ExportError(
                f"{old} says otherwise than this graph needs; give another --name, or --force to replace it"
            )
    with _staging(repository) as staging:
        for model in models:
            _stage(staging / model.name, model, version)
        undo: list[tuple[Path, Path]] = []
        try:
            for model in models:
                _place(staging, repository, model.name, version, undo)
        except OSError:
            for now, before in reversed(undo):
                now.rename(before)
            raise


def _stage(folder: Path, model: Content, version: int) -> None:
    made = folder / str(version)
    made.mkdir(parents=True)
    for place, content in model.files.items():
        (made / place).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            (made / place).write_bytes(content)
        else:
            shutil.copyfile(content, made / place)
        with (made / place).open("rb") as stream:
            os.fsync(stream.fileno())
    (folder / CONFIG).write_text(model.config, encoding="utf-8")


def _place(staging: Path, repository: Path, name: str, version: int, undo: list[tuple[Path, Path]]) -> None:
    """Rename one model into place, each rename with its reverse in ``undo``."""
    new, model = staging / name, repository / name
    moves = [(new, model)]
    if model.exists():
        moves = [(new / part, model / part) for part in (str(version), CONFIG)]
    for source, target in moves:
        if target.exists():
            kept = staging / f"{name}.{target.name}.before"
            target.rename(kept)
            undo.append((kept, target))
        source.rename(target)
        undo.append((target, source))


def _says(file: Path, config: str) -> bool:
    try:
        return file.read_text(encoding="utf-8") == config
    except (OSError, UnicodeDecodeError):
        return False


@contextmanager
def _staging(repository: Path) -> Iterator[Path]:
    """A hidden folder of the repository, removed after the block. Triton finds no model in it: nothing is at its top.

    Raises:
        ExportError: it or what is in it cannot be written.
    """
    made = None
    try:
        repository.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".samplegraph-", dir=repository))
        yield made
    except OSError as error:
        raise ExportError(
            f"repository={str(repository)!r} cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
