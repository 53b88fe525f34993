"""diffusers' ``FluxTransformer2DModel``: Flux.1, of which dev has its guidance distilled into an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from samplegraph.models.adapters.declare import declare, tokens
from samplegraph.models.adapters.shift import dynamic_shift
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.spec import Condition
from samplegraph.schedulers import OptionError

#: Tokens of the T5 encoder, and latents of one side of 1024 pixels.
_TOKENS, _SIDE = 512, 128


class Flux(nn.Module):
    """``sample`` (B, C, H, W) of unpacked latents, ``encoder_hidden_states`` (B, tokens, width), ``pooled_projections``
    (B, width), and of a distilled model ``guidance`` (B,).

    Packing 2x2 latents into a token, and the positions of tokens, are part of the call. Classifier-free guidance on top
    (``true_cfg_scale`` in diffusers) applies where the guided conditions are named.
    """

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        if config["patch_size"] != 1 or config["in_channels"] % 4:
            raise OptionError(
                f"FluxTransformer2DModel with patch_size={config['patch_size']}, in_channels={config['in_channels']} "
                "is not supported, only patches of 1 and channels of 2x2 latents; give package.module:factory"
            )
        text = replace(tokens("encoder_hidden_states", _TOKENS, config["joint_attention_dim"]), guided=False)
        pooled = Condition(
            "pooled_projections", (config["pooled_projection_dim"],), description="of the whole prompt", guided=False
        )
        conditions = [text, pooled]
        self.distilled = bool(config["guidance_embeds"])
        if self.distilled:
            conditions.append(Condition("guidance", description="distilled guidance scale, such as 3.5", guided=False))
        shape = (config["in_channels"] // 4, _SIDE, _SIDE)
        self.spec = declare(checkpoint, shape, tuple(conditions), any_size=True)

    def scheduler_options(self, config: Mapping[str, Any], steps: int, sample_shape: Sequence[int]) -> dict[str, Any]:
        """What ``FluxPipeline`` gives its scheduler besides its config."""
        count = (sample_shape[1] // 2) * (sample_shape[2] // 2)
        given = {"mu": dynamic_shift(config, count, 1.15)} if config.get("use_dynamic_shifting") else {}
        if config.get("use_flow_sigmas"):
            return given
        return {**given, "sigmas": torch.linspace(1.0, 1 / steps, steps, dtype=torch.float64).tolist()}

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        pooled_projections: Tensor,
        guidance: Tensor | None = None,
    ) -> Tensor:
        rows, channels, height, width = sample.shape
        packed = sample.reshape(rows, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
        packed = packed.reshape(rows, (height // 2) * (width // 2), channels * 4)
        output: Tensor = self.network(
            hidden_states=packed,
            timestep=timestep / 1000,
            guidance=guidance,
            pooled_projections=pooled_projections,
            encoder_hidden_states=encoder_hidden_states,
            txt_ids=torch.zeros(encoder_hidden_states.shape[1], 3),
            img_ids=positions(height // 2, width // 2),
            return_dict=False,
        )[0]
        output = output.reshape(rows, height // 2, width // 2, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return output.reshape(rows, channels, height, width)


def positions(height: int, width: int) -> Tensor:
    """Of each image token, (height * width, 3): zero, its row, its column."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(down), down, across], dim=-1).reshape(-1, 3).float()
