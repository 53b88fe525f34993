"""Prompts of Stable Diffusion 3 and 3.5."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samplegraph.models.parts.branches import BRANCH
from samplegraph.models.parts.clip import late_states
from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.parts.text_encoder import CLIP_PROJECTED, T5
from samplegraph.models.stages import FrontSpec

#: The pipeline's ``max_sequence_length``: of T5's ids, and of the zeros in place of T5.
LENGTH = 256


class StableDiffusion3(nn.Module):
    """``input_ids`` and ``input_ids_2`` (B, tokens) of CLIP, ``input_ids_3`` (B, tokens) of T5, to
    ``encoder_hidden_states`` (B, tokens of CLIP and T5, width) and ``pooled_projections`` (B, projections), as
    ``StableDiffusion3Pipeline``: both CLIPs side by side, padded to the width of T5, then T5, or zeros without it."""

    def __init__(self, source: PromptSource) -> None:
        super().__init__()
        clips = [source.encoder(part, CLIP_PROJECTED) for part in ("text_encoder", "text_encoder_2")]
        self.text_encoder, self.text_encoder_2 = (each.network for each in clips)
        self.text_encoder_3, ids = None, [each.ids() for each in clips]
        if source.has("text_encoder_3"):
            t5 = source.encoder("text_encoder_3", T5)
            self.text_encoder_3 = t5.network
            ids.append(t5.ids(LENGTH))
        self.clip_skip = source.clip_skip
        self.width = int(source.checkpoint.config["joint_attention_dim"])
        inputs = (*ids, *([BRANCH] if self.clip_skip else []))
        self.spec = FrontSpec(inputs, ("encoder_hidden_states", "pooled_projections"))

    def forward(
        self,
        input_ids: Tensor,
        input_ids_2: Tensor,
        input_ids_3: Tensor | None = None,
        is_prompt: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        first, pooled = late_states(self.text_encoder, input_ids, self.clip_skip, is_prompt)
        second, pooled_2 = late_states(self.text_encoder_2, input_ids_2, self.clip_skip, is_prompt)
        if self.text_encoder_3 is None:
            last = first.new_zeros(first.shape[0], LENGTH, self.width)
        else:
            last = self.text_encoder_3(input_ids_3)[0]
        clip = torch.cat([first, second], dim=-1)
        clip = nn.functional.pad(clip, (0, last.shape[-1] - clip.shape[-1]))
        return torch.cat([clip, last], dim=1), torch.cat([pooled, pooled_2], dim=-1)
