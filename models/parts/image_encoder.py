"""From pictures to latents: the encoder of a pipeline's autoencoder, for image to image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from samplegraph.models.parts.autoencoder import latent_scale, load_autoencoder
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.spec import Condition
from samplegraph.models.stages import FrontSpec
from samplegraph.models.task import INIT


class ImageEncoder(nn.Module):
    """``init_image`` (B, 3, H, W) in [0, 1] to ``init_sample`` (B, C, h, w): the mean of the encoder's distribution.

    diffusers' pipelines draw around that mean, with a deviation that training makes small.

    Args:
        sample_shape: (C, h, w) of the latents; where None, the size of pictures is not known before an example is.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, checkpoint: Checkpoint, part: str, sample_shape: Sequence[int] | None, allow_pickle: bool
    ) -> None:
        super().__init__()
        vae, config = load_autoencoder(checkpoint, part, allow_pickle)
        self.vae: Any = vae
        for name, values in zip(("scale", "shift"), latent_scale(config), strict=True):
            self.register_buffer(name, values, persistent=False)
        blocks = config.get("encoder_block_out_channels") or config["block_out_channels"]
        size = [side << (len(blocks) - 1) for side in sample_shape[1:]] if sample_shape else [None, None]
        text = "the picture to start from: red, green, blue"
        image = Condition("init_image", (3, *size), minimum=0, maximum=1, description=text)
        self.spec = FrontSpec((image,), (INIT,))

    def forward(self, init_image: Tensor) -> Tensor:
        read = self.vae.encode(init_image * 2 - 1)
        mean: Tensor = read.latent_dist.mean if hasattr(read, "latent_dist") else read[0]
        return (mean - self.shift) / self.scale
