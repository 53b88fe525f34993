"""Loads a network of diffusers with its weights, and accepts no weight too few or too many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.schedulers import OptionError

#: What diffusers and transformers call their files of weights.
DIFFUSERS, TRANSFORMERS = "diffusion_pytorch_model", "model"
_PICKLED = {TRANSFORMERS: "pytorch_model"}
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
    names = stored_weights(where, folder, DIFFUSERS, allow_pickle)
    cls = diffusers_class(checkpoint.class_name)
    with quiet_diffusers():
        try:
            network, info = cls.from_pretrained(
                folder,
                variant=variant_of(names[0], DIFFUSERS),
                use_safetensors=not is_pickle(Path(names[0])),
                local_files_only=True,
                low_cpu_mem_usage=find_spec("accelerate") is not None,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise OptionError(
                f"{where}: {checkpoint.class_name} cannot be loaded ({reason[:300]}); give a folder that is whole"
            ) from error
    refuse_other_weights(where, checkpoint.class_name, info)
    _refuse_integers(where, [folder / name for name in names], network)
    made: nn.Module = network.eval().requires_grad_(False)
    return made


def _refuse_integers(where: str, files: Sequence[Path], network: nn.Module) -> None:
    """Whole numbers where the network has others are quantised, and mean nothing without their scales."""
    from safetensors import safe_open

    own = network.state_dict()
    for path in files if not is_pickle(files[0]) else ():
        with safe_open(path, "pt") as file:
            for name in own:
                dtype = file.get_slice(name).get_dtype()
                if dtype[0] in "IUB" and not dtype.startswith("BF") and own[name].is_floating_point():
                    raise OptionError(
                        f"{where}: the weight {name!r} is stored as {dtype}; give weights that are not quantised"
                    )


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

    with _quiet(logging):
        yield


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """The same of transformers."""
    from transformers.utils import logging

    with _quiet(logging):
        yield


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def stored_weights(where: str, folder: Path, stem: str, allow_pickle: bool) -> list[str]:
    """The files of ``folder`` that hold its weights (see ``plain_weights``).

    Raises:
        OptionError: there are none, or only pickled ones without leave.
    """
    stored = sorted(path.name for path in folder.iterdir())
    names = plain_weights(stored, allow_pickle, stem)
    if not names:
        pickled = plain_weights(stored, True, stem)
        if pickled:
            raise OptionError(f"{where} holds {pickled[0]}, a pickle: {PICKLE_REASON}")
        raise OptionError(f"{where} holds no {stem}.safetensors; give a folder with weights")
    return names


def plain_weights(names: Sequence[str], allow_pickle: bool, stem: str = DIFFUSERS) -> list[str]:
    """Those of a folder's files that hold the weights: safetensors before pickles, plain before a variant (fp16)."""
    found = [n for n in names if _named(stem).fullmatch(n) and (allow_pickle or not is_pickle(Path(n)))]
    order = sorted({(is_pickle(Path(name)), variant_of(name, stem) or "") for name in found})
    return [name for name in found if (is_pickle(Path(name)), variant_of(name, stem) or "") == order[0]]


def variant_of(name: str, stem: str) -> str | None:
    """``fp16`` of ``diffusion_pytorch_model.fp16.safetensors``, None of the plain ones."""
    match = _named(stem).fullmatch(name)
    return match[1] if match else None


@cache
def _named(stem: str) -> re.Pattern[str]:
    pickled = _PICKLED.get(stem, stem)
    head = rf"(?:{stem}(?=.*\.safetensors)|{pickled}(?=.*\.bin))"
    return re.compile(rf"{head}(?:\.(?!safetensors|bin)([a-z]\w*))?(?:-\d+-of-\d+)?\.(?:safetensors|bin)")


def refuse_other_weights(where: str, name: str, info: Mapping[str, Any]) -> None:
    """Raise where a loader's ``info`` says that weights are missing, left over or of other shapes.

    Raises:
        OptionError: they are.
    """
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
