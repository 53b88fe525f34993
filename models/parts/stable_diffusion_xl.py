"""Prompts of Stable Diffusion XL and its refiner."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from samplegraph.models.parts.branches import BRANCH
from samplegraph.models.parts.clip import late_states
from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.parts.text_encoder import CLIP, CLIP_PROJECTED
from samplegraph.models.stages import FrontSpec

_ABSENT = "; all -1 where there is no prompt: its embeddings are zeros"


class StableDiffusionXL(nn.Module):
    """``input_ids`` and ``input_ids_2`` (B, tokens), in a refiner the second alone, to ``encoder_hidden_states`` (B,
    tokens, widths) and ``text_embeds`` (B, projection), as ``StableDiffusionXLPipeline``.

    Where its config has ``force_zeros_for_empty_prompt``, a row of negative ids stands for a prompt that is not given.
    """

    def __init__(self, source: PromptSource) -> None:
        super().__init__()
        encoders = [source.encoder("text_encoder", CLIP)] if source.has("text_encoder") else []
        encoders.append(source.encoder("text_encoder_2", CLIP_PROJECTED))
        self.text_encoders = nn.ModuleDict({each.input_name: each.network for each in encoders})
        self.clip_skip = source.clip_skip
        self.zeros = bool(source.checkpoint.index.get("force_zeros_for_empty_prompt", True))
        ids = [each.ids() for each in encoders]
        if self.zeros:
            ids = [replace(each, minimum=-1, description=each.description + _ABSENT) for each in ids]
        inputs = (*ids, *([BRANCH] if self.clip_skip else []))
        absent = {each.name: -1.0 for each in ids} if self.zeros else {}
        self.spec = FrontSpec(inputs, ("encoder_hidden_states", "text_embeds"), absent)

    def forward(self, is_prompt: Tensor | None = None, **ids: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for name, encoder in self.text_encoders.items():
            states, pooled = late_states(encoder, ids[name].clamp(min=0), self.clip_skip, is_prompt)
            found.append(states)
        states = torch.cat(found, dim=-1)
        if self.zeros:
            first = next(iter(self.text_encoders))
            there = (ids[first][:, :1] >= 0).to(states.dtype)
            states, pooled = states * there[..., None], pooled * there
        return states, pooled
