"""From latents to pictures: the decoder of a pipeline's autoencoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from samplegraph.models.parts.autoencoder import latent_scale, load_autoencoder
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.stages import BackSpec


class Decoder(nn.Module):
    """``sample`` (B, C, h, w) of latents to ``image`` (B, 3, H, W) in [0, 1], as diffusers' pipelines decode them for
    ``output_type="pt"``."""

    spec = BackSpec("image", minimum=0.0, maximum=1.0, description="the sample, decoded: red, green, blue")
    scale: Tensor
    shift: Tensor

    def __init__(self, checkpoint: Checkpoint, part: str, allow_pickle: bool) -> None:
        super().__init__()
        vae, config = load_autoencoder(checkpoint, part, allow_pickle)
        self.vae: Any = vae
        for name, values in zip(("scale", "shift"), latent_scale(config), strict=True):
            self.register_buffer(name, values, persistent=False)

    def forward(self, sample: Tensor) -> Tensor:
        image: Tensor = self.vae.decode(sample * self.scale + self.shift, return_dict=False)[0]
        return (image * 0.5 + 0.5).clamp(0, 1)
