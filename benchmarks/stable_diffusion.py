"""A denoiser of Stable Diffusion 1.5's size with random weights, kept as safetensors and memory-mapped from there.

``python -m benchmarks.stable_diffusion FOLDER`` makes it.

``--model benchmarks.stable_diffusion:unet`` reads the folder that ``SAMPLEGRAPH_SD15`` names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

FOLDER = "SAMPLEGRAPH_SD15"
CONFIG = {"sample_size": 64, "cross_attention_dim": 768}
SHAPE = (4, 64, 64)
TOKENS = (77, 768)
FILE = "diffusion_pytorch_model.safetensors"


def make(folder: Path) -> None:
    """Write the network, 859.5 million parameters of seed 0, as diffusers does. Takes 3.4 GB."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    cast(Any, UNet2DConditionModel(**CONFIG)).save_pretrained(folder, safe_serialization=True)


def unet() -> nn.Module:
    """The network that ``make`` wrote, its weights memory-mapped, with the shapes of its inputs declared."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import load_file

    from samplegraph.models import Condition, ModelSpec

    with torch.device("meta"):
        network = cast(nn.Module, UNet2DConditionModel(**CONFIG))
    network.load_state_dict(load_file(Path(os.environ[FOLDER]) / FILE), assign=True)
    network.spec = ModelSpec(
        name="sd15",
        sample_shape=SHAPE,
        prediction_type="epsilon",
        conditions=(Condition("encoder_hidden_states", dtype="float32", shape=TOKENS),),
        guidance_scale=7.5,
    )
    return network.eval().requires_grad_(False)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
