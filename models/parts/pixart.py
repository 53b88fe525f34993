"""Prompts of PixArt-alpha and PixArt-Sigma."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.parts.text_encoder import T5
from samplegraph.models.stages import FrontSpec

#: ``max_sequence_length`` of the pipelines: of alpha, and of the others.
_ALPHA, _LENGTH = 120, 300


class PixArt(nn.Module):
    """``input_ids`` (B, tokens) to ``encoder_hidden_states`` (B, tokens, width) and ``encoder_attention_mask`` (B,
    tokens), as ``PixArtSigmaPipeline``; the mask, which a tokenizer gives too, is read off the padding."""

    def __init__(self, source: PromptSource) -> None:
        super().__init__()
        encoder = source.encoder("text_encoder", T5)
        self.text_encoder, self.padding = encoder.network, encoder.padding
        alpha = source.checkpoint.index.get("_class_name") == "PixArtAlphaPipeline"
        ids = encoder.ids(_ALPHA if alpha else _LENGTH)
        self.spec = FrontSpec((ids,), ("encoder_hidden_states", "encoder_attention_mask"))

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        mask = (input_ids != self.padding).float()
        return self.text_encoder(input_ids, attention_mask=mask)[0], mask
