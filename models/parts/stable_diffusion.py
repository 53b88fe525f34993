"""Prompts of Stable Diffusion 1 and 2 and of latent consistency models."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.parts.branches import BRANCH
from samplegraph.models.parts.clip import final_states
from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.parts.text_encoder import CLIP
from samplegraph.models.stages import FrontSpec


class StableDiffusion(nn.Module):
    """``input_ids`` (B, tokens) to ``encoder_hidden_states`` (B, tokens, width), as ``StableDiffusionPipeline``."""

    def __init__(self, source: PromptSource) -> None:
        super().__init__()
        encoder = source.encoder("text_encoder", CLIP)
        self.text_encoder, self.clip_skip = encoder.network, source.clip_skip
        self.spec = FrontSpec((encoder.ids(), *([BRANCH] if self.clip_skip else [])), ("encoder_hidden_states",))

    def forward(self, input_ids: Tensor, is_prompt: Tensor | None = None) -> Tensor:
        return final_states(self.text_encoder, input_ids, self.clip_skip, is_prompt)
