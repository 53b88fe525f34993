"""The autoencoder of a pipeline, and between which numbers it and the denoiser's latents lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.sources.weights import load_network
from samplegraph.schedulers import OptionError

#: Autoencoders that decode without drawing random numbers.
KINDS = ("AutoencoderKL", "AutoencoderTiny", "AutoencoderDC", "AsymmetricAutoencoderKL", "VQModel")


def load_autoencoder(checkpoint: Checkpoint, part: str, allow_pickle: bool) -> tuple[nn.Module, Mapping[str, Any]]:
    """The component ``part`` of the pipeline and its config.

    Raises:
        OptionError: it is of a class that is not supported, or its weights are not those that its config describes.
    """
    folder = checkpoint.whole_part(part)
    own = Checkpoint(folder, checkpoint.part(part))
    if own.class_name not in KINDS:
        raise OptionError(
            f"model={str(folder)!r}: the autoencoder {own.class_name} is not supported, only {', '.join(KINDS)}; "
            "leave vae out of include, or wrap it and give --post"
        )
    return load_network(own, allow_pickle), own.config


def latent_scale(config: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """``(scale, shift)``, of one channel or of each: the autoencoder's latents are ``sample * scale + shift``.

    ``scale`` is one over ``scaling_factor``, ``shift`` is ``shift_factor``; where the config has mean and deviation of
    each channel, they are these.
    """
    mean, deviation = config.get("latents_mean"), config.get("latents_std")
    if mean is not None and deviation is not None:
        scale, shift = _channels(deviation), _channels(mean)
    else:
        scale, shift = torch.ones(1), torch.full([1], float(config.get("shift_factor") or 0))
    return scale / float(config.get("scaling_factor") or 1), shift


def _channels(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)
