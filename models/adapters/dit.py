"""diffusers' ``DiTTransformer2DModel`` (Peebles and Xie 2023, arXiv:2212.09748)."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.adapters.declare import declare, spatial
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.spec import Condition


class DiT(nn.Module):
    """``sample`` (B, C, H, W), ``class_labels`` (B,); the class after the last stands for none."""

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        channels, none = config["in_channels"], config["num_embeds_ada_norm"]
        text = "class of the sample"
        labels = Condition("class_labels", dtype="int64", null=none, minimum=0, maximum=none, description=text)
        self.spec = declare(
            checkpoint,
            (channels, *spatial(config["sample_size"])),
            (labels,),
            guidance_scale=4.0,
            learned_variance=config["out_channels"] == 2 * channels,
        )

    def forward(self, sample: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        output: Tensor = self.network(sample, timestep=timestep, class_labels=class_labels, return_dict=False)[0]
        return output
