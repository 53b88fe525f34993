"""diffusers' ``UNet1DModel``: signals, such as Dance Diffusion's audio."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.adapters.declare import declare
from samplegraph.models.sources.checkpoint import Checkpoint


class UNet1D(nn.Module):
    """``sample`` (B, C, L), no conditions."""

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        self.spec = declare(checkpoint, (config["in_channels"], config["sample_size"]), any_size=True)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        output: Tensor = self.network(sample, timestep, return_dict=False)[0]
        return output
