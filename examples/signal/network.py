"""The decoder: a small transformer over 16-sample patches of a window, trained by flow matching.

A window has four frames, in units of its loudness (``gain_of`` its bands). Its first frame was already heard: the
network is given those samples as ``context`` and draws them again, so that windows can be faded into each other (an
overlap-add of one frame).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from examples.signal.bands import BANDS, FRAME
from examples.training import load
from examples.transformer import WAVES, Block, waves
from samplegraph.models import Condition, ModelSpec
from samplegraph.schedulers import FlowSchedule

FRAMES = 4
WINDOW = FRAMES * FRAME
SEEN_FRAMES = FRAMES + 2  # one before and one after the window, too
PATCH = 16
WIDTH = 64
HEADS = 4
BLOCKS = 3
WEIGHTS = Path(__file__).with_name("weights.safetensors")


class SignalDecoder(nn.Module):
    """Predicts the velocity of flow matching for one window of samples."""

    spec: ClassVar[ModelSpec] = ModelSpec(
        name="signal",
        sample_shape=(1, WINDOW),
        prediction_type="flow_prediction",
        noise_schedule=FlowSchedule(),
        conditions=(
            Condition("bands", (SEEN_FRAMES, BANDS), description="frames -1 to 4 of the coarse spectrogram"),
            Condition("context", (FRAME,), description="the window's first 64 samples as heard"),
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Linear(2 * PATCH, WIDTH)
        self.frame = nn.Linear(3 * BANDS, WIDTH * (FRAME // PATCH))
        self.place = nn.Parameter(0.02 * torch.randn(WINDOW // PATCH, WIDTH))
        self.time = nn.Sequential(nn.Linear(WAVES, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 6 * WIDTH))
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS) for _ in range(BLOCKS))
        self.modulation = nn.Parameter(torch.zeros(BLOCKS, 6 * WIDTH))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, PATCH)
        nn.init.zeros_(self.head.weight)

    def forward(self, sample: Tensor, timestep: Tensor, bands: Tensor, context: Tensor) -> Tensor:
        """sample (B, 1, WINDOW), timestep (B,) in [0, 1000], bands (B, 6, BANDS), context (B, FRAME) -> like sample."""
        heard = patches(F.pad(context, (0, WINDOW - FRAME)))
        around = torch.cat([bands[:, :-2], bands[:, 1:-1], bands[:, 2:]], dim=2)
        given = self.frame(around).reshape(-1, WINDOW // PATCH, WIDTH) + self.place
        modulation = self.time(waves(timestep / 1000))
        x = self.patch(torch.cat([patches(sample), heard], dim=2)) + given
        for block, own in zip(self.blocks, self.modulation, strict=True):
            x = block(x, modulation + own)
        out: Tensor = self.head(self.norm(x)).flatten(1)[:, None]
        return out


def patches(samples: Tensor) -> Tensor:
    """(B, WINDOW) or (B, 1, WINDOW) -> (B, WINDOW / PATCH, PATCH)."""
    return samples.reshape(-1, WINDOW // PATCH, PATCH)


def decoder() -> SignalDecoder:
    """The trained decoder.

    Raises:
        FileNotFoundError: its weights are missing.
    """
    model = SignalDecoder()
    load(model, WEIGHTS)
    return model
