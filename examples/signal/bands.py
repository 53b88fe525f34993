"""The condition: a coarse spectrogram, 16 bands for every 64 samples. Phase and pitch are not in it."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from examples.signal.sound import RATE

FRAME = 64  # samples from one frame to the next
SPAN = 256  # samples that a frame looks at, around its own 64
BANDS = 16
FLOOR = 1e-3
HANN_POWER = 48.0  # that the bands of a sound of root mean square 1 have together
QUIETEST = 0.01


def bands_of(signal: Tensor) -> Tensor:
    """Logarithms of the bands' energies: (..., FRAME * K) -> (..., K, BANDS), 0 for silence, about 1 where it is loud.

    Frame k looks at samples 64 k - 96 to 64 k + 160; what lies outside the signal is silence.
    """
    margin = (SPAN - FRAME) // 2
    padded = torch.nn.functional.pad(signal, (margin, margin))
    pieces = padded.unfold(-1, SPAN, FRAME) * torch.hann_window(SPAN)
    power: Tensor = torch.fft.rfft(pieces).abs().square() / SPAN
    return (power @ filters() / FLOOR + 1).log10() / 4


def gain_of(bands: Tensor) -> Tensor:
    """What the network calls 1: about the loudest frame's root mean square, (B, K, BANDS) -> (B,)."""
    power = ((10.0 ** (4 * bands.double()) - 1) * FLOOR).sum(dim=2).amax(dim=1)
    return ((power / HANN_POWER).sqrt() + QUIETEST).float()


@cache
def filters() -> Tensor:
    """Triangles on a scale between linear and logarithmic, (SPAN / 2 + 1, BANDS)."""
    frequency = torch.linspace(0, RATE / 2, SPAN // 2 + 1)
    corners = 400 * torch.expm1(torch.linspace(0, float(torch.log1p(torch.tensor(RATE / 2 / 400))), BANDS + 2))
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequency[:, None] - low) / (peak - low), (high - frequency[:, None]) / (high - peak)
    return torch.minimum(rising, falling).clamp(min=0)
