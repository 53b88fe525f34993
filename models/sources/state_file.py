"""Weights in a file of their own, for the architectures that are built in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from samplegraph.models.sources.weights import PICKLE_REASON, is_pickle
from samplegraph.models.spec import spec_of
from samplegraph.schedulers import OptionError

Weights = Mapping[str, Tensor]


def load_state(path: Path, allow_pickle: bool = False) -> nn.Module:
    """The built-in architecture whose weights ``path`` holds, in evaluation mode, named after the file.

    Raises:
        OptionError: the file cannot be read, is a pickle without leave, or holds no such weights.
    """
    weights = _read(path, allow_pickle)
    if not weights:
        raise OptionError(f"model={str(path)!r} holds no weights; give a file that does")
    for names, make in _ARCHITECTURES.items():
        if any(name in weights for name in names):
            model = make(weights, f"model={str(path)!r}").eval().requires_grad_(False)
            model.spec = replace(spec_of(model), name=path.stem)  # type: ignore[assignment]
            return model
    raise OptionError(
        f"model={str(path)!r} holds weights such as {next(iter(weights))!r}, of no built-in architecture "
        "(digits, tokens); give the folder with its config.json, or package.module:factory"
    )


def _read(path: Path, allow_pickle: bool) -> Weights:
    where = f"model={str(path)!r}"
    if is_pickle(path) and not allow_pickle:
        raise OptionError(f"{where} is a pickle: {PICKLE_REASON}")
    try:
        if is_pickle(path):
            return _named(torch.load(path, map_location="cpu", weights_only=True), where)
        from safetensors.torch import load_file

        return load_file(path)
    except OptionError:
        raise
    except UnpicklingError as error:
        raise OptionError(
            f"{where}: holds more than weights, or is no pickle of torch's, and is not read; save a state_dict() as "
            "safetensors"
        ) from error
    except OSError as error:
        raise OptionError(f"{where}: cannot be read ({error.strerror or error}); give a file that is there") from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise OptionError(f"{where}: holds no weights that can be read ({reason[:200]}); give a whole file") from error


def _named(held: Any, where: str) -> Weights:
    """What a pickle holds, ``{"state_dict": ...}`` or the weights themselves."""
    found = held.get("state_dict", held) if isinstance(held, Mapping) else held
    if not isinstance(found, Mapping):
        raise OptionError(f"{where} holds a {type(found).__name__}, and not weights by name; save a state_dict()")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _digits(weights: Weights, where: str) -> nn.Module:
    from samplegraph.models.digits import DigitsUNet

    model = DigitsUNet()
    own = model.state_dict()
    for names, what in ((set(own) - set(weights), "lacks"), (set(weights) - set(own), "holds, and digits has not,")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise OptionError(f"{where} {what} the weight {min(names)!r}{more}; give the weights of a digits network")
    for name, value in own.items():
        if not weights[name].is_floating_point():
            raise OptionError(
                f"{where}: the weight {name!r} is {str(weights[name].dtype).removeprefix('torch.')}; give weights that "
                "are not quantised"
            )
        if weights[name].shape != value.shape:
            raise OptionError(
                f"{where}: the weight {name!r} has shape {tuple(weights[name].shape)}, and digits takes "
                f"{tuple(value.shape)}; give the weights of a digits network"
            )
    model.load_state_dict(dict(weights))
    return model


def _tokens(weights: Weights, where: str) -> nn.Module:
    from samplegraph.models.tokens.mixture import DIGITS, LEVELS, PLACES, MixtureDenoiser

    levels = weights["levels"]
    if len(weights) > 1 or levels.ndim != 4 or (levels.shape[0], *levels.shape[2:]) != (DIGITS, PLACES, LEVELS):
        held = ", ".join(f"{name} {tuple(value.shape)}" for name, value in weights.items())
        raise OptionError(f"{where} holds {held}; tokens takes levels ({DIGITS}, K, {PLACES}, {LEVELS}) alone")
    return MixtureDenoiser(levels.float())


#: Weights that only this architecture has -> it.
_ARCHITECTURES: Mapping[tuple[str, ...], Callable[[Weights, str], nn.Module]] = {
    ("levels",): _tokens,
    ("stem.weight", "to8.weight"): _digits,
}
