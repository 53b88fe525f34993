"""What pipelines read off a CLIP text encoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from samplegraph.models.parts.branches import where_prompt


def late_states(encoder: Any, ids: Tensor, clip_skip: int, is_prompt: Tensor | None) -> tuple[Tensor, Tensor]:
    """The hidden states (B, tokens, width) before the last layer, not normalised, and the first output, of a projected
    encoder (B, projection).

    Args:
        ids: (B, tokens).
        clip_skip: further layers left out, of prompts alone.
        is_prompt: (B,), where layers are left out.
    """
    read = encoder(ids, output_hidden_states=True)
    states: Tensor = read.hidden_states[-2]
    if is_prompt is not None:
        states = where_prompt(is_prompt, read.hidden_states[-(clip_skip + 2)], states)
    return states, read[0]


def final_states(encoder: Any, ids: Tensor, clip_skip: int, is_prompt: Tensor | None) -> Tensor:
    """The last hidden states (B, tokens, width), normalised; ``clip_skip`` as in ``late_states``."""
    if is_prompt is None:
        whole: Tensor = encoder(ids)[0]
        return whole
    read = encoder(ids, output_hidden_states=True)
    body = getattr(encoder, "text_model", encoder)
    skipped: Tensor = body.final_layer_norm(read.hidden_states[-(clip_skip + 1)])
    return where_prompt(is_prompt, skipped, read[0])
