"""The built-in model: a class-conditional UNet that draws handwritten digits. See MODEL_CARD.md beside this file."""

from __future__ import annotations

from pathlib import Path

from samplegraph.models.digits.unet import DigitsUNet

WEIGHTS = Path(__file__).with_name("weights.safetensors")

__all__ = ["WEIGHTS", "DigitsUNet", "digits"]


def digits() -> DigitsUNet:
    """The trained model, for inference; `digits().spec` is its declaration.

    Raises:
        FileNotFoundError: the weights are not where they were installed.
    """
    from safetensors.torch import load_file

    model = DigitsUNet()
    model.load_state_dict(load_file(WEIGHTS))
    return model.eval().requires_grad_(False)
