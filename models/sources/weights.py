"""Loads a network of diffusers with its weights, and accepts no weight too few or too many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.schedulers import OptionError

_STEM = "diffusion_pytorch_model"
_NAME = re.compile(rf"{_STEM}(?:\.(?!safetensors|bin)([a-z]\w*))?(?:-\d+-of-\d+)?\.(?:safetensors|bin)")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_EXTRA = "holds, and the config does not describe,"
#: The line that every refusal of a pickle gives.
PICKLE_REASON = "reading a pickle can run any code that is in it; convert it to safetensors, or give --allow-pickle"


def is_pickle(path: Path) -> bool:
    """Whether a file's name says that torch pickled it."""
    return path.suffix.lower() in _PICKLES


def load_network(checkpoint: Checkpoint, allow_pickle: bool) -> nn.Module:
    """The network of ``checkpoint``, by diffusers' own loader, in float32 and evaluation mode.

    Raises:
        OptionError: diffusers is not installed; the weights are missing, pickled without leave, or not those that the
            config describes.
    """
    where, folder = f"model={str(checkpoint.folder)!r}", checkpoint.folder
    stored = sorted(path for path in folder.iterdir() if path.name.startswith(_STEM))
    names = plain_weights([path.name for path in stored], allow_pickle)
    if not names:
        pickled = next((path.name for path in stored if is_pickle(path)), None)
        if pickled is not None:
            raise OptionError(f"{where} holds {pickled}, a pickle: {PICKLE_REASON}")
        raise OptionError(f"{where} holds no {_STEM}.safetensors; give a folder with weights")
    cls = diffusers_class(checkpoint.class_name)
    with quiet_diffusers():
        try:
            network, info = cls.from_pretrained(
                folder,
                variant=_variant_of(names[0]),
                use_safetensors=not is_pickle(Path(names[0])),
                local_files_only=True,
                low_cpu_mem_usage=find_spec("accelerate") is not None,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise OptionError(f"{where}: {checkpoint.class_name} cannot be loaded ({reason[:300]})") from error
    _refuse_other_weights(where, checkpoint.class_name, info)
    made: nn.Module = network.eval().requires_grad_(False)
    return made


def diffusers_class(name: str) -> Any:
    """The class of diffusers of that name.

    Raises:
        OptionError: diffusers is not installed or has no such class.
    """
    try:
        import diffusers
    except ModuleNotFoundError as error:
        raise OptionError(f'a diffusers folder needs {error.name}; pip install "samplegraph[diffusers]"') from error
    cls = getattr(diffusers, name, None)
    if cls is None:
        raise OptionError(f"diffusers {diffusers.__version__} has no {name}; install a version that has")
    return cls


@contextmanager
def quiet_diffusers() -> Iterator[None]:
    """Without diffusers' warnings and progress bars: what matters of them is raised."""
    from diffusers.utils import logging

    before, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if shown:
            logging.enable_progress_bar()


def plain_weights(names: Sequence[str], allow_pickle: bool) -> list[str]:
    """Those of a folder's files that hold the weights: safetensors before pickles, plain before a variant (fp16)."""
    found = [name for name in names if _NAME.fullmatch(name) and (allow_pickle or not is_pickle(Path(name)))]
    order = sorted({(is_pickle(Path(name)), _variant_of(name) or "") for name in found})
    return [name for name in found if (is_pickle(Path(name)), _variant_of(name) or "") == order[0]]


def _variant_of(name: str) -> str | None:
    """``fp16`` of ``diffusion_pytorch_model.fp16.safetensors``, None of the plain ones."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def _refuse_other_weights(where: str, name: str, info: dict[str, Any]) -> None:
    for kind, what in (("missing_keys", "lacks"), ("unexpected_keys", _EXTRA)):
        keys = sorted(info.get(kind) or ())
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise OptionError(
                f"{where} {what} the weight {keys[0]!r}{more} of {name}; give the weights that belong to its "
                "config.json"
            )
    for key, stored, wanted in info.get("mismatched_keys") or ():
        raise OptionError(
            f"{where}: the weight {key!r} has shape {tuple(stored)}, and {name} takes {tuple(wanted)}; give the "
            "weights that belong to its config.json"
        )
