"""A folder that diffusers' ``save_pretrained`` wrote: one component, or the denoiser of a whole pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplegraph.schedulers import OptionError

INDEX, CONFIG, SCHEDULER_CONFIG = "model_index.json", "config.json", "scheduler_config.json"
#: What optimum calls the graph of a component.
ONNX_FILE = "model.onnx"
#: What pipelines call their denoiser.
DENOISERS = ("transformer", "unet")


@dataclass(frozen=True)
class Checkpoint:
    """A denoiser's folder and what lies around it.

    Args:
        folder: holds ``config.json`` and the weights.
        config: the content of that.
        pipeline: the folder of the pipeline it belongs to, None for a component by itself.
        index: the pipeline's ``model_index.json``; empty where there is none.
        title: what the model is called, where its folder does not say.
    """

    folder: Path
    config: Mapping[str, Any]
    pipeline: Path | None = None
    index: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None

    @property
    def class_name(self) -> str:
        """diffusers' class of the denoiser, as the config names it."""
        return str(self.config.get("_class_name"))

    @property
    def name(self) -> str:
        """What the model is called: the pipeline's folder, else its own."""
        return self.title or (self.pipeline or self.folder).resolve().name

    def part(self, name: str) -> Mapping[str, Any]:
        """The ``config.json`` of another component of the pipeline; empty where there is none."""
        path = self.part_folder(name) / CONFIG
        return read_json(path) if self.part_class(name) is not None and path.is_file() else {}

    def part_class(self, name: str) -> str | None:
        """The class of another component of the pipeline; None where it has none."""
        found = self.index.get(name)
        return found[1] if isinstance(found, list) and len(found) == 2 and isinstance(found[1], str) else None

    def part_folder(self, name: str) -> Path:
        """Where a component of the pipeline lies: in a folder of its name, else beside the index."""
        root = self.pipeline or self.folder
        return root / name if (root / name).is_dir() else root

    def whole_part(self, name: str) -> Path:
        """The folder of a component that the index names.

        Raises:
            OptionError: it is not there.
        """
        root = self.pipeline or self.folder
        if not (root / name / CONFIG).is_file():
            raise OptionError(
                f"model={str(root)!r} has no {name}/{CONFIG}, and its {INDEX} names {name}; give a folder that is whole"
            )
        return root / name

    @property
    def scheduler_config(self) -> Mapping[str, Any] | None:
        """The config of the pipeline's scheduler, None where there is none."""
        path = self.part_folder("scheduler") / SCHEDULER_CONFIG
        return read_json(path) if path.is_file() else None


def find_checkpoint(folder: Path, title: str | None = None) -> Checkpoint:
    """The denoiser in ``folder``, which is a component's or a pipeline's.

    Raises:
        OptionError: there is none, or a file that says so cannot be read.
    """
    if (folder / INDEX).is_file():
        index = read_json(folder / INDEX)
        name = next((name for name in DENOISERS if name in index), None)
        if name is None:
            parts = [key for key in index if not key.startswith("_")]
            raise OptionError(
                f"model={str(folder)!r}: {INDEX} names no {' or '.join(DENOISERS)} but {', '.join(parts) or 'nothing'}"
                "; give the folder of the denoiser itself"
            )
        inside = folder / name if (folder / name).is_dir() else folder
        if inside is folder and not (folder / CONFIG).is_file() and not (folder / ONNX_FILE).is_file():
            raise OptionError(
                f"model={str(folder)!r}: {INDEX} names {name}, and there is no folder {name!r}; give a folder that is "
                "whole"
            )
        return Checkpoint(inside, _config(inside), folder, index, title)
    if not (folder / CONFIG).is_file():
        found = sorted(path.name for path in folder.iterdir())[:4]
        raise OptionError(
            f"model={str(folder)!r} has neither {INDEX} nor {CONFIG} (it holds {', '.join(found) or 'nothing'}); give "
            "a folder that diffusers' save_pretrained wrote"
        )
    around = folder.absolute().parent
    if (around / INDEX).is_file():
        return Checkpoint(folder, _config(folder), around, read_json(around / INDEX), title)
    return Checkpoint(folder, _config(folder), title=title)


def read_json(path: Path) -> Mapping[str, Any]:
    """The JSON object in ``path``.

    Raises:
        OptionError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: cannot be read ({error.strerror}); give a folder that is whole") from error
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path}: is not JSON ({error}); give a folder that is whole") from error
    if not isinstance(content, dict):
        raise OptionError(f"{path}: holds a JSON {type(content).__name__}, not an object; give a folder that is whole")
    return content


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG
    if not path.is_file() and (folder / ONNX_FILE).is_file():
        return {}
    if not path.is_file():
        raise OptionError(f"model={str(folder)!r} has no {CONFIG}; give a folder that diffusers' save_pretrained wrote")
    return read_json(path)
