"""diffusers' ``SD3Transformer2DModel``: Stable Diffusion 3 and 3.5 (arXiv:2403.03206)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from samplegraph.models.adapters.declare import declare, spatial, tokens
from samplegraph.models.adapters.shift import dynamic_shift
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.spec import Condition

#: Tokens of CLIP and of T5 behind them, in whose place there are zeros where the pipeline has none.
_CLIP, _T5 = 77, 256


class SD3(nn.Module):
    """``sample`` (B, C, H, W), ``encoder_hidden_states`` (B, tokens, width), ``pooled_projections`` (B, width)."""

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        self.patch = int(config["patch_size"])
        pooled = Condition("pooled_projections", (config["pooled_projection_dim"],), description="of the whole prompt")
        self.spec = declare(
            checkpoint,
            (config["in_channels"], *spatial(config["sample_size"])),
            (tokens("encoder_hidden_states", _CLIP + _T5, config["joint_attention_dim"]), pooled),
            guidance_scale=7.0,
            any_size=True,
        )

    def scheduler_options(self, config: Mapping[str, Any], steps: int, sample_shape: Sequence[int]) -> dict[str, Any]:
        """What ``StableDiffusion3Pipeline`` gives its scheduler besides its config."""
        count = (sample_shape[1] // self.patch) * (sample_shape[2] // self.patch)
        return {"mu": dynamic_shift(config, count, 1.16)} if config.get("use_dynamic_shifting") else {}

    def forward(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, pooled_projections: Tensor
    ) -> Tensor:
        output: Tensor = self.network(
            hidden_states=sample,
            timestep=timestep,
            encoder_hidden_states=encoder_hidden_states,
            pooled_projections=pooled_projections,
            return_dict=False,
        )[0]
        return output
