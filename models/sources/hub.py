"""Denoisers on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from samplegraph.models.sources.checkpoint import DENOISERS, ONNX_FILE, Checkpoint, find_checkpoint
from samplegraph.models.sources.weights import DIFFUSERS, TRANSFORMERS, plain_weights
from samplegraph.schedulers import OptionError

PREFIX = "hub:"


def download(source: str, allow_pickle: bool = False, include: Sequence[str] = ()) -> Checkpoint:
    """Fetch ``hub:owner/name`` or ``hub:owner/name@revision``: configs, the weights of the denoiser and of ``include``.

    Args:
        include: heads of the names of other components, such as ``text_encoder``.

    Raises:
        OptionError: no such repository, or it cannot be reached.
    """
    repository, _, revision = source.removeprefix(PREFIX).partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise OptionError(f"model={source!r} names no repository; give hub:owner/name or hub:owner/name@revision")
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ModuleNotFoundError as error:
        raise OptionError(f'model={source!r} needs {error.name}; pip install "samplegraph[diffusers]"') from error
    try:
        files = HfApi().list_repo_files(repository, revision=revision or None)
        wanted = _wanted(files, allow_pickle, include)
        folder = snapshot_download(repository, revision=revision or None, allow_patterns=wanted)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise OptionError(
            f"model={source!r} cannot be fetched ({reason[:200]}); check the name and the network, or give a folder"
        ) from error
    return find_checkpoint(Path(folder), repository.split("/")[1])


def _wanted(files: list[str], allow_pickle: bool, include: Sequence[str]) -> list[str]:
    """All configs, and the weights that the loaders would take; else a denoiser's graph and what lies beside it."""
    found = [name for name in files if name.endswith(("config.json", "model_index.json", ".index.json"))]
    folders = sorted({name.rpartition("/")[0] for name in files})
    for folder in folders:
        if folder and folder not in DENOISERS and not folder.startswith(tuple(include)):
            continue
        inside = [name.rpartition("/")[2] for name in files if name.rpartition("/")[0] == folder]
        for stem in (DIFFUSERS, TRANSFORMERS):
            found += [f"{folder}/{name}".lstrip("/") for name in plain_weights(inside, allow_pickle, stem)]
        if folder in (*DENOISERS, "") and ONNX_FILE in inside and not plain_weights(inside, allow_pickle, DIFFUSERS):
            beside = [f"{folder}/{name}".lstrip("/") for name in inside if not name.startswith(DIFFUSERS)]
            found += [name for name in beside if name not in found]
    return found
