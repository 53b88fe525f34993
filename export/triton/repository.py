"""One version of a model in a Triton model repository, written so that it is there whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from samplegraph.export.atomic import replacing
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


def write_version(
    files: Mapping[str, Path | bytes], config: str, repository: Path, name: str, version: int, force: bool
) -> None:
    """Write ``files`` (what a path below the version's folder holds: a copy of a file, or bytes) and config.pbtxt.

    A new model is renamed into place as one folder, a further version of a model as the version's folder.

    Raises:
        ExportError: the model has a config.pbtxt that says otherwise and ``force`` is not set, or files cannot be
            written.
    """
    model = repository / name
    old, target = model / CONFIG, model / str(version)
    if old.exists() and not force and not _says(old, config):
        raise ExportError(f"{old} says otherwise than this graph needs; give another --name, or --force to replace it")
    with _staging(repository) as staging:
        new = staging / "new"
        made = new / str(version)
        for place, content in files.items():
            (made / place).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                (made / place).write_bytes(content)
            else:
                shutil.copyfile(content, made / place)
            with (made / place).open("rb") as stream:
                os.fsync(stream.fileno())
        (new / CONFIG).write_text(config, encoding="utf-8")
        if not model.exists():
            new.rename(model)
            return
        if target.exists():
            target.rename(staging / "old")
        made.rename(target)
        with replacing(old) as temporary:
            temporary.write_text(config, encoding="utf-8")


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
