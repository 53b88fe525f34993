"""Prompts of Flux.1."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.parts.text_encoder import CLIP, T5
from samplegraph.models.stages import FrontSpec

#: The pipeline's ``max_sequence_length``.
LENGTH = 512


class Flux(nn.Module):
    """``input_ids`` (B, tokens) of CLIP to ``pooled_projections`` (B, width), ``input_ids_2`` (B, tokens) of T5 to
    ``encoder_hidden_states`` (B, tokens, width), as ``FluxPipeline``."""

    def __init__(self, source: PromptSource) -> None:
        super().__init__()
        clip, t5 = source.encoder("text_encoder", CLIP), source.encoder("text_encoder_2", T5)
        self.text_encoder, self.text_encoder_2 = clip.network, t5.network
        self.spec = FrontSpec((clip.ids(), t5.ids(LENGTH)), ("pooled_projections", "encoder_hidden_states"))

    def forward(self, input_ids: Tensor, input_ids_2: Tensor) -> tuple[Tensor, Tensor]:
        return self.text_encoder(input_ids).pooler_output, self.text_encoder_2(input_ids_2)[0]
