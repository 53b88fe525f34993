"""diffusers' ``SanaTransformer2DModel`` (arXiv:2410.10629): linear attention over deeply compressed latents."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.adapters.declare import declare, mask, refuse, spatial, tokens
from samplegraph.models.sources.checkpoint import Checkpoint

#: Tokens of the Gemma encoder.
_TOKENS = 300


class Sana(nn.Module):
    """``sample`` (B, C, H, W), ``encoder_hidden_states`` (B, tokens, width), ``encoder_attention_mask`` (B, tokens)."""

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        refuse(config, "guidance_embeds", None, False)
        channels = config["in_channels"]
        self.timestep_scale = float(config.get("timestep_scale", 1.0))
        text = tokens("encoder_hidden_states", _TOKENS, config["caption_channels"])
        self.spec = declare(
            checkpoint,
            (channels, *spatial(config["sample_size"])),
            (text, mask("encoder_attention_mask", _TOKENS)),
            guidance_scale=4.5,
            learned_variance=config["out_channels"] == 2 * channels,
            any_size=True,
        )

    def forward(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, encoder_attention_mask: Tensor
    ) -> Tensor:
        output: Tensor = self.network(
            sample,
            encoder_hidden_states=encoder_hidden_states,
            timestep=timestep * self.timestep_scale,
            encoder_attention_mask=encoder_attention_mask,
            return_dict=False,
        )[0]
        return output
