"""How good a decoded stream is, given the sound that its bands were taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from examples.signal.bands import FRAME, SPAN, bands_of
from examples.signal.stream import HOP

FAINT = 0.25  # 10 dB above silence
LOUD = 0.5  # of a frame's loudest band
LAGS = (14, 80)  # samples: 570 to 100 Hz


@dataclass(frozen=True)
class Quality:
    """Of a stream beside its sound.

    Attributes:
        distance: root mean square difference of their bands, in dB, where those of the sound are not faint.
        periodicity: mean over loud frames of the autocorrelation at the best lag, 1 for a perfect tone.
        seams: mean bend of the stream where windows meet, as a multiple of the bend elsewhere; 1 is inaudible.
    """

    distance: float
    periodicity: float
    seams: float


def quality(decoded: npt.NDArray[np.float32], sound: npt.NDArray[np.float32]) -> Quality:
    """Judge ``decoded`` (at least T samples) beside ``sound`` (T,), T a multiple of FRAME."""
    ours, theirs = torch.from_numpy(decoded[: len(sound)].copy()), torch.from_numpy(sound)
    ours_bands, bands = bands_of(ours), bands_of(theirs)
    distance = 40 * float((ours_bands - bands)[bands > FAINT].square().mean().sqrt())
    loud = bands.amax(dim=1) > LOUD
    bend = ours.diff().diff().abs()
    seam = torch.zeros(len(bend), dtype=torch.bool)
    for start in range(HOP - FRAME, len(bend) - FRAME, HOP):
        seam[start - 1 : start + 1] = seam[start + FRAME - 1 : start + FRAME + 1] = True
    return Quality(distance, periodicity(ours, loud), float(bend[seam].mean() / bend[~seam].mean()))


def periodicity(signal: Tensor, frames: Tensor) -> float:
    """Mean over these ``frames`` (K,) of the autocorrelation of ``signal`` (FRAME * K,) at the best of LAGS."""
    margin = (SPAN - FRAME) // 2
    pieces = torch.nn.functional.pad(signal, (margin, margin)).unfold(0, SPAN, FRAME)[frames]
    best = torch.full((len(pieces),), -1.0)
    for lag in range(*LAGS):
        a, b = pieces[:, lag:], pieces[:, :-lag]
        norm = (a.square().sum(1) * b.square().sum(1)).sqrt().clamp(min=1e-9)
        best = torch.maximum(best, (a * b).sum(1) / norm)
    return float(best.mean())
