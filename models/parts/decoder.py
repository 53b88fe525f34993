"""From latents to pictures: the decoder of a pipeline's autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.sources.weights import load_network
from samplegraph.models.stages import BackSpec
from samplegraph.schedulers import OptionError

#: Autoencoders that decode without drawing random numbers.
KINDS = ("AutoencoderKL", "AutoencoderTiny", "AutoencoderDC", "AsymmetricAutoencoderKL", "VQModel")


class Decoder(nn.Module):
    """``sample`` (B, C, h, w) of latents to ``image`` (B, 3, H, W) in [0, 1], as diffusers' pipelines decode them for
    ``output_type="pt"``.

    Latents are divided by ``scaling_factor`` and moved by ``shift_factor``; where the config has mean and deviation of
    each channel, by these.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, vae: Any, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.vae = vae
        mean, deviation = config.get("latents_mean"), config.get("latents_std")
        if mean is not None and deviation is not None:
            scale, shift = _channels(deviation), _channels(mean)
        else:
            scale, shift = torch.ones(1), torch.full([1], float(config.get("shift_factor") or 0))
        self.register_buffer("scale", scale / float(config.get("scaling_factor") or 1), persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        text = "the sample, decoded: red, green, blue"
        self.spec = BackSpec("image", minimum=0.0, maximum=1.0, description=text)

    def forward(self, sample: Tensor) -> Tensor:
        image: Tensor = self.vae.decode(sample * self.scale + self.shift, return_dict=False)[0]
        return (image * 0.5 + 0.5).clamp(0, 1)


def load_decoder(checkpoint: Checkpoint, part: str, allow_pickle: bool) -> Decoder:
    """The decoder of the autoencoder ``part`` in the pipeline.

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
    network = load_network(own, allow_pickle)
    return Decoder(network, own.config).eval()


def _channels(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)
