"""diffusers' ``PixArtTransformer2DModel``: PixArt-alpha (arXiv:2310.00426) and PixArt-Sigma (arXiv:2403.04692)."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.adapters.declare import declare, mask, spatial, tokens
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.spec import Condition

#: Tokens of the T5 encoder in PixArt-Sigma.
_TOKENS = 300


class PixArt(nn.Module):
    """``sample`` (B, C, H, W), ``encoder_hidden_states`` (B, tokens, width), ``encoder_attention_mask`` (B, tokens);
    of PixArt-alpha at 1024 pixels ``resolution`` (B, 2) and ``aspect_ratio`` (B, 1)."""

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        channels = config["in_channels"]
        width = config["caption_channels"] or config["cross_attention_dim"]
        conditions = [tokens("encoder_hidden_states", _TOKENS, width), mask("encoder_attention_mask", _TOKENS)]
        added = config.get("use_additional_conditions")
        if added or (added is None and config["sample_size"] == 128):
            conditions += [
                Condition("resolution", (2,), description="height and width in pixels", guided=False),
                Condition("aspect_ratio", (1,), description="height over width", guided=False),
            ]
        self.spec = declare(
            checkpoint,
            (channels, *spatial(config["sample_size"])),
            tuple(conditions),
            guidance_scale=4.5,
            learned_variance=config["out_channels"] == 2 * channels,
            any_size=True,
        )

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        encoder_attention_mask: Tensor,
        resolution: Tensor | None = None,
        aspect_ratio: Tensor | None = None,
    ) -> Tensor:
        output: Tensor = self.network(
            sample,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask,
            timestep=timestep,
            added_cond_kwargs={"resolution": resolution, "aspect_ratio": aspect_ratio},
            return_dict=False,
        )[0]
        return output
