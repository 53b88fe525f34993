"""Which adapter stands for which class of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from torch import nn

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.sources.weights import load_network
from samplegraph.schedulers import OptionError
from samplegraph.schedulers.errors import suggest

#: Class of diffusers -> file of its adapter and class in it. Adding an adapter adds one line here.
ADAPTERS: Mapping[str, tuple[str, str]] = {
    "UNet2DModel": ("unet2d", "UNet2D"),
    "UNet2DConditionModel": ("unet2d_condition", "UNet2DCondition"),
    "UNet1DModel": ("unet1d", "UNet1D"),
    "DiTTransformer2DModel": ("dit", "DiT"),
    "PixArtTransformer2DModel": ("pixart", "PixArt"),
    "SD3Transformer2DModel": ("sd3", "SD3"),
    "FluxTransformer2DModel": ("flux", "Flux"),
    "SanaTransformer2DModel": ("sana", "Sana"),
}


def adapted(checkpoint: Checkpoint, allow_pickle: bool = False) -> nn.Module:
    """The denoiser in ``checkpoint`` with its declaration, in evaluation mode.

    Raises:
        OptionError: no adapter for its class or for what its config asks, or weights that do not fit.
    """
    name = checkpoint.class_name
    if "_class_name" not in checkpoint.config:
        raise OptionError(
            f"model={str(checkpoint.folder)!r}: its config.json has no _class_name; give a folder that diffusers' "
            "save_pretrained wrote"
        )
    if name not in ADAPTERS:
        raise OptionError(
            f"model={str(checkpoint.folder)!r}: _class_name={name!r} is not supported; supported are "
            f"{', '.join(ADAPTERS)}, and any model as package.module:factory{suggest(name, ADAPTERS)}"
        )
    network = load_network(checkpoint, allow_pickle)
    file, cls = ADAPTERS[name]
    adapter = getattr(import_module(f"samplegraph.models.adapters.{file}"), cls)
    try:
        made: nn.Module = adapter(network, checkpoint)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(
            f"model={str(checkpoint.folder)!r}: its config.json does not describe a {name} "
            f"({type(error).__name__}: {error}); give a folder that is whole"
        ) from error
    return made.eval()
