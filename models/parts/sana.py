"""Prompts of Sana."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samplegraph.models.parts.branches import BRANCH, where_prompt
from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.parts.text_encoder import GEMMA
from samplegraph.models.stages import FrontSpec

#: The pipeline's ``max_sequence_length``.
LENGTH = 300


class Sana(nn.Module):
    """``input_ids`` (B, tokens) to ``encoder_hidden_states`` (B, tokens, width) and ``encoder_attention_mask`` (B,
    tokens), as ``SanaPipeline``; the mask, which a tokenizer gives too, is read off the padding.

    Of ids longer than 300, as those with the pipeline's ``complex_human_instruction`` in front, a prompt keeps the
    first and the last 299; a negative prompt, which has no instruction and is padded to the same length, the first 300.
    """

    def __init__(self, source: PromptSource) -> None:
        super().__init__()
        encoder = source.encoder("text_encoder", GEMMA)
        self.text_encoder, self.padding = encoder.network, encoder.padding
        self.spec = FrontSpec((encoder.ids(LENGTH), BRANCH), ("encoder_hidden_states", "encoder_attention_mask"))

    def forward(self, input_ids: Tensor, is_prompt: Tensor) -> tuple[Tensor, Tensor]:
        mask = (input_ids != self.padding).float()
        states = self.text_encoder(input_ids, attention_mask=mask, use_cache=False)[0]
        if input_ids.shape[1] <= LENGTH:
            return states, mask
        chosen = (_without_instruction(each, is_prompt) for each in (states, mask))
        return next(chosen), next(chosen)


def _without_instruction(rows: Tensor, is_prompt: Tensor) -> Tensor:
    """(B, tokens, ...) to (B, 300, ...)."""
    return where_prompt(is_prompt, torch.cat([rows[:, :1], rows[:, 1 - LENGTH :]], dim=1), rows[:, :LENGTH])
