"""Low-rank updates of a network's weights, LoRA (Hu et al. 2021, arXiv:2106.09685), fused: ``W += scale * B @ A``."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from samplegraph.models.sources.weights import PICKLE_REASON, diffusers_class, is_pickle, quiet_diffusers
from samplegraph.schedulers import OptionError

#: Class of a denoiser -> how its pipelines call it, and diffusers' reader of the formats that exist for it.
_READERS: Mapping[str, tuple[str, str]] = {
    "UNet2DConditionModel": ("unet", "StableDiffusionXLLoraLoaderMixin"),
    "SD3Transformer2DModel": ("transformer", "SD3LoraLoaderMixin"),
    "FluxTransformer2DModel": ("transformer", "FluxLoraLoaderMixin"),
    "SanaTransformer2DModel": ("transformer", "SanaLoraLoaderMixin"),
}
_FILE = "pytorch_lora_weights.safetensors"


def parse_lora(text: str) -> tuple[Path, float]:
    """``FILE`` or ``FILE:SCALE``; of a folder the file that diffusers writes.

    Raises:
        OptionError: no such file, or a scale that is not a finite number.
    """
    head, colon, tail = text.rpartition(":")
    path, scale = (Path(head), tail) if colon and not Path(text).exists() else (Path(text), "1")
    try:
        number = float(scale)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(f"lora={text!r}: the scale {scale!r} is not a number; give FILE:SCALE as a.safetensors:0.8")
    path = path / _FILE if path.is_dir() else path
    if not path.is_file():
        raise OptionError(f"lora={text!r}: no file {str(path)!r}; give a safetensors file, or FILE:SCALE")
    return path, number


def fuse_loras(model: nn.Module, loras: Sequence[str], allow_pickle: bool = False) -> None:
    """Fuse each of ``loras`` (see ``parse_lora``) into the diffusers network under ``model``, by diffusers and peft.

    What a file holds for text encoders is for ``load_parts``.

    Raises:
        OptionError: ``model`` wraps no network of diffusers that takes them, or a file does not fit it.
    """
    for text in loras:
        path, scale = parse_lora(text)
        network = getattr(model, "network", None)
        name = type(network).__name__
        if name not in _READERS:
            raise OptionError(
                f"lora={text!r} is for diffusers folders of {', '.join(_READERS)}, and this model is a "
                f"{name if isinstance(network, nn.Module) else type(model).__name__}; fuse it yourself"
            )
        assert isinstance(network, nn.Module)
        _fuse(network, f"lora={text!r}", path, scale, allow_pickle)


def _fuse(network: Any, where: str, path: Path, scale: float, allow_pickle: bool) -> None:
    name = type(network).__name__
    prefix = _READERS[name][0]
    with reading_lora(where, name):
        weights, alphas, metadata = read_lora(name, network.config, where, path, allow_pickle)
        _check(weights, prefix, network, where)
        network.load_lora_adapter(
            weights, prefix=prefix, network_alphas=alphas, metadata=metadata, adapter_name="fused"
        )
        network.fuse_lora(lora_scale=scale, safe_fusing=True)
        network.unload_lora()
    network.requires_grad_(False)


@contextmanager
def reading_lora(where: str, name: str) -> Iterator[None]:
    """While the block runs, diffusers is quiet, and what it raises becomes one line.

    Args:
        where: what the line begins with.
        name: class of the network that is updated.

    Raises:
        OptionError: peft is not installed, or the file does not fit.
    """
    with quiet_diffusers():
        try:
            yield
        except OptionError:
            raise
        except ImportError as error:
            raise OptionError(f'{where} needs peft ({error}); pip install "samplegraph[diffusers]"') from error
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise OptionError(f"{where} does not fit {name} ({reason[:300]})") from error


def read_lora(
    name: str, config: Any, where: str, path: Path, allow_pickle: bool
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Updates by their names in the pipeline of a denoiser of class ``name``, ``alpha`` of each, and peft's metadata.

    Raises:
        OptionError: there is no reader for that pipeline, a pickle without leave, or DoRA's magnitudes.
    """
    if name not in _READERS:
        raise OptionError(
            f"{where} is for pipelines of {', '.join(_READERS)}, and this is one of a {name}; leave it out"
        )
    if is_pickle(path) and not allow_pickle:
        raise OptionError(f"{where} is a pickle: {PICKLE_REASON}")
    own = {"return_alphas": True} if name == "FluxTransformer2DModel" else {}
    own |= {"unet_config": config} if _READERS[name][0] == "unet" else {}
    held: Any = torch.load(path, weights_only=True) if is_pickle(path) else str(path.parent)
    _refuse_magnitudes(held if is_pickle(path) else _names_in(path), where)
    found = lora_reader(name).lora_state_dict(
        held, weight_name=path.name, local_files_only=True, return_lora_metadata=True, **own
    )
    weights, alphas, metadata = found if len(found) == 3 else (found[0], None, found[1])
    return weights, alphas, metadata


def lora_reader(name: str) -> Any:
    """diffusers' reader of LoRA files for pipelines of a denoiser of class ``name``."""
    diffusers_class("UNet2DConditionModel")  # says what to install where diffusers is missing
    from diffusers.loaders import lora_pipeline

    return getattr(lora_pipeline, _READERS[name][1])


def _names_in(path: Path) -> Collection[str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return set(file.keys())


def _refuse_magnitudes(names: Collection[str], where: str) -> None:
    """Diffusers' readers leave out the magnitudes of kohya's DoRA files (arXiv:2402.09353), and only warn."""
    if any("dora_scale" in name for name in names):
        raise OptionError(
            f"{where} has magnitudes besides its updates (DoRA, 'dora_scale'), which diffusers does not read in this "
            "format; fuse it with the program that trained it, or save it with peft"
        )


def _check(weights: Mapping[str, Any], prefix: str, network: nn.Module, where: str) -> None:
    """Every update has to have a layer to go to; diffusers only warns of some that have not."""
    own = [key.removeprefix(f"{prefix}.") for key in weights if key.startswith(f"{prefix}.")]
    if not own:
        kinds = ", ".join(sorted({key.split(".")[0] for key in weights})[:4])
        raise OptionError(f"{where} holds nothing for the {prefix}, but {kinds or 'nothing'}; give one made for it")
    layers = {name for name, _ in network.named_modules()}
    for key in _as_peft_calls_them(own):
        layer = key.split(".lora")[0]
        if layer not in layers:
            raise OptionError(
                f"{where} is for a layer {layer!r}, which {type(network).__name__} here has not; give one made for it"
            )


def _as_peft_calls_them(keys: Sequence[str]) -> Sequence[str]:
    """Keys of a file of kohya's scripts, or of an old one of diffusers, as ``load_lora_adapter`` reads them."""
    if "lora_A" in keys[0]:
        return keys
    from diffusers.utils import state_dict_utils

    renamed: Any = state_dict_utils.convert_unet_state_dict_to_peft
    return list(renamed(dict.fromkeys(keys)))
