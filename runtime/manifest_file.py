"""Where a manifest is found: inside an ONNX file, or in the sidecar beside a graph or an engine."""

from __future__ import annotations

import os
from pathlib import Path

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import METADATA_KEY, Manifest
from samplegraph.runtime.onnx_metadata import read_metadata

#: Files that cannot carry a manifest inside.
ENGINE_SUFFIXES = (".engine", ".plan", ".trt")


def sidecar(path: str | os.PathLike[str]) -> Path:
    """The sidecar of ``path``: its full name + ``.json``."""
    return Path(f"{os.fspath(path)}.json")


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest of ``path``: an ``.onnx`` file, an engine with its sidecar, or a sidecar itself.

    Inside an ONNX file the metadata wins; the sidecar stands in where a tool has removed it.

    Raises:
        InputError: a file is missing, truncated, not ONNX, or not one of samplegraph's.
    """
    file = Path(path)
    if file.suffix == ".json":
        return Manifest.from_json(_text(file), str(file))
    if file.suffix in ENGINE_SUFFIXES:
        if not file.is_file():
            raise InputError(f"{file}: no such file; give an engine and keep its sidecar beside it")
        if not sidecar(file).is_file():
            raise InputError(
                f"{sidecar(file)}: no such file; keep the sidecar beside its engine, or build the engine with "
                "`samplegraph build`: those of other tools have none"
            )
        return Manifest.from_json(_text(sidecar(file)), str(sidecar(file)))
    text = read_metadata(file).get(METADATA_KEY)
    if text is not None:
        return Manifest.from_json(text, str(file))
    if sidecar(file).is_file():
        return Manifest.from_json(_text(sidecar(file)), str(sidecar(file)))
    raise InputError(f"{file}: holds no samplegraph manifest; give a file that `samplegraph export` wrote")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; keep the sidecar beside the file it describes") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); give a readable file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: the manifest is not UTF-8 text; export the file again") from error
