"""Finds a denoiser by what a user types: a built-in name, a folder, a file, or ``package.module:factory``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from samplegraph.models.adapters.registry import adapted
from samplegraph.models.sources.checkpoint import ONNX_FILE, Checkpoint, find_checkpoint
from samplegraph.models.sources.hub import PREFIX, download
from samplegraph.models.sources.lora import fuse_loras
from samplegraph.models.sources.state_file import load_state
from samplegraph.models.sources.weights import is_pickle
from samplegraph.schedulers import OptionError
from samplegraph.schedulers.errors import suggest

BUILT_IN = {
    "digits": "samplegraph.models.digits:digits",
    "digits-policy": "samplegraph.models.digits:digits_policy",
    "tokens": "samplegraph.models.tokens:tokens",
}


def load_model(source: str | os.PathLike[str], *, lora: Sequence[str] = (), allow_pickle: bool = False) -> nn.Module:
    """The denoiser that ``source`` names, in evaluation mode.

    Args:
        source: a built-in name; a folder that diffusers' ``save_pretrained`` or optimum wrote, a denoiser's or a
            pipeline's; ``hub:owner/name`` for such a folder on the Hugging Face hub; an ``.onnx`` file; a file of
            weights for a built-in architecture; or ``package.module:factory`` where the factory takes no arguments and
            returns a ``torch.nn.Module``; the current folder is searched too.
        lora: ``FILE`` or ``FILE:SCALE``, low-rank updates of a diffusers network, fused one after the other.
        allow_pickle: read weights that torch pickled, which can run any code that is in them.

    Raises:
        OptionError: an unknown name, a folder or file that does not hold a denoiser, a factory that cannot be imported
            or called, or one that returns something else.
    """
    model = _load(os.fspath(source), allow_pickle)
    fuse_loras(model, lora, allow_pickle)
    return model


def _load(text: str, allow_pickle: bool) -> nn.Module:
    if text in BUILT_IN:
        return make_module("model", text, BUILT_IN[text])
    if text.startswith(PREFIX):
        return _from_folder(download(text, allow_pickle), allow_pickle)
    path = Path(text)
    if text and path.is_dir():
        return _from_folder(find_checkpoint(path), allow_pickle)
    if path.suffix == ".onnx":
        return _from_onnx(path)
    if path.is_file() and (path.suffix == ".safetensors" or is_pickle(path)):
        return load_state(path, allow_pickle)
    if ":" not in text and (os.sep in text or path.suffix == ".safetensors" or is_pickle(path)):
        raise OptionError(f"model={text!r}: no such file or folder; give one that is there, or package.module:factory")
    if ":" not in text:
        raise OptionError(
            f"model={text!r} is not known; choose one of {', '.join(BUILT_IN)}, or give package.module:factory, "
            f"or the path of a folder or a file{suggest(text, BUILT_IN)}"
        )
    return make_module("model", text)


def _from_folder(checkpoint: Checkpoint, allow_pickle: bool) -> nn.Module:
    graph = checkpoint.folder / ONNX_FILE
    return _from_onnx(graph) if graph.is_file() else adapted(checkpoint, allow_pickle)


def _from_onnx(graph: Path) -> nn.Module:
    from samplegraph.models.sources.onnx_denoiser import OnnxDenoiser  # the other sources do without onnx

    return OnnxDenoiser(graph).eval()


def make_module(name: str, source: str, target: str | None = None) -> nn.Module:
    """What the factory ``target``, or ``source`` itself, returns, in evaluation mode.

    Args:
        name: of the argument that ``source`` is given for.
        source: ``package.module:factory`` where there is no ``target``.

    Raises:
        OptionError: it cannot be imported or called, or returns something else than a ``torch.nn.Module``.
    """
    label = f"{name}={source!r}"
    factory = _factory(label, target or source)
    try:
        model = factory()
    except (Exception, SystemExit) as error:
        raise OptionError(f"{label} cannot be made: {_one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise OptionError(f"{label} returned {type(model).__name__}; the factory has to return a torch.nn.Module")
    return model.eval()


def _factory(label: str, target: str) -> Callable[[], Any]:
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise OptionError(f"{label} is no package.module:factory; give one, such as robot.encoders:encoder")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as error:
        reason = _one_line(error)
        raise OptionError(f"{label}: module {module_name!r} cannot be imported ({reason})") from error
    factory = getattr(module, name, None)
    if not callable(factory):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise OptionError(
            f"{label}: {module_name} has no function {name!r}{suggest(name, known)}; "
            "give package.module:factory"
        )
    made: Callable[[], Any] = factory
    return made


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
