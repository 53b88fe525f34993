"""The built-in token model: handwritten digits of 8x8 pixels as 64 tokens of 8 grey levels. See MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from samplegraph.models.tokens.mixture import MixtureDenoiser

WEIGHTS = Path(__file__).with_name("weights.safetensors")

__all__ = ["WEIGHTS", "MixtureDenoiser", "tokens"]


def tokens() -> MixtureDenoiser:
    """The fitted model, for inference; `tokens().spec` is its declaration.

    Raises:
        FileNotFoundError: the weights are not where they were installed.
    """
    from safetensors.torch import load_file

    return MixtureDenoiser(load_file(WEIGHTS)["levels"].float()).eval().requires_grad_(False)
