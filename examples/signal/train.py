"""Training of the decoder; ``python -m examples.signal train`` calls it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from examples.signal.bands import FRAME, bands_of, gain_of
from examples.signal.network import WINDOW, SignalDecoder
from examples.signal.sound import sounds
from examples.training import fit, flow_loss, save

CLIPS, CLIP = 3000, 96 * FRAME
BATCH = 128
PEAK_RATE = 3e-3
CONTEXT_NOISE = 0.05


class Windows:
    """Random windows of synthesised clips, with the bands and samples that a stream would have there."""

    def __init__(self, seed: int) -> None:
        self.clips = sounds(CLIPS, CLIP, seed)
        self.bands = bands_of(self.clips)
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (B, 1, WINDOW), bands (B, 6, BANDS), and the samples heard before, a little wrong (B, FRAME)."""
        clip = torch.randint(CLIPS, (count,), generator=self.generator)
        first = torch.randint(1, CLIP // FRAME - WINDOW // FRAME, (count,), generator=self.generator)
        samples = first[:, None] * FRAME + torch.arange(WINDOW)
        frames = first[:, None] - 1 + torch.arange(WINDOW // FRAME + 2)
        bands = self.bands[clip[:, None], frames]
        window = self.clips[clip[:, None], samples] / gain_of(bands)[:, None]
        error = CONTEXT_NOISE * torch.randn(count, FRAME, generator=self.generator)
        return window[:, None], bands, window[:, :FRAME] + error


def train(steps: int, seed: int, output: Path) -> None:
    """Synthesise, train by flow matching, and write the weights to ``output``; the same seed, the same weights."""
    torch.manual_seed(seed)
    windows, model = Windows(seed), SignalDecoder()

    def loss() -> Tensor:
        x0, bands, context = windows.draw(BATCH)
        s = torch.sigmoid(torch.randn(BATCH, 1, 1, generator=windows.generator))
        return flow_loss(lambda x, t: model(x, t, bands, context), x0, s, windows.generator)

    save(fit(model, loss, steps, PEAK_RATE), output, f"seed {seed}, {steps} steps")
