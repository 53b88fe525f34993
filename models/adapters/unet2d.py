"""diffusers' ``UNet2DModel``: unconditional, or by class."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.adapters.declare import class_labels, declare, spatial
from samplegraph.models.sources.checkpoint import Checkpoint


class UNet2D(nn.Module):
    """``sample`` (B, C, H, W), ``class_labels`` (B,) where the config counts classes."""

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        labels = class_labels(config)
        shape = (config["in_channels"], *spatial(config.get("sample_size")))
        self.spec = declare(checkpoint, shape, (labels,) if labels else (), any_size=True)

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor | None = None) -> Tensor:
        output: Tensor = self.network(sample, timestep, class_labels, return_dict=False)[0]
        return output
