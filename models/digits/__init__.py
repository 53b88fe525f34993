"""The built-in model: a class-conditional UNet that draws handwritten digits. See MODEL_CARD.md beside this file."""

from __future__ import annotations

from pathlib import Path

from samplegraph.models.digits.policy import DigitsPolicy
from samplegraph.models.digits.unet import DigitsUNet

WEIGHTS = Path(__file__).with_name("weights.safetensors")

__all__ = ["WEIGHTS", "DigitsPolicy", "DigitsUNet", "digits", "digits_policy"]


def digits() -> DigitsUNet:
    """The trained model, for inference; `digits().spec` is its declaration.

    Raises:
        FileNotFoundError: the weights are not where they were installed.
    """
    from safetensors.torch import load_file

    model = DigitsUNet()
    model.load_state_dict(load_file(WEIGHTS))
    return model.eval().requires_grad_(False)


def digits_policy() -> DigitsPolicy:
    """The same model, as a policy.

    Raises:
        FileNotFoundError: the weights are not where they were installed.
    """
    return DigitsPolicy(digits()).eval().requires_grad_(False)
