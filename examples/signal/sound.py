"""Synthesised sounds, 8000 samples a second: harmonic tones, chirps and noise bursts, one after the other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RATE = 8000
EVENT = (600, 1600)  # samples
PITCH = (120.0, 480.0)  # Hz
HARMONICS = 12
LEVEL = (0.25, 1.0)
ATTACK = 80  # samples


def sounds(count: int, samples: int, seed: int) -> Tensor:
    """(count, samples): each a row of events with short pauses; the same seed gives the same ones."""
    generator = torch.Generator().manual_seed(seed)
    out = torch.zeros(count, samples + EVENT[1])
    for row in out:
        at = int(_between(0, EVENT[0], generator))
        while at < samples:
            event = _event(generator)
            end = min(len(row), at + len(event))
            row[at:end] += event[: end - at]
            at = end + int(_between(0, 300, generator))
    return out[:, :samples]


def _event(generator: torch.Generator) -> Tensor:
    length = int(_between(*EVENT, generator))
    kind = int(torch.randint(3, (), generator=generator))
    body = (_tone, _chirp, _burst)[kind](length, generator)
    rise = torch.arange(length) / ATTACK
    envelope = torch.minimum(rise, rise.flip(0)).clamp(max=1) * torch.exp(
        -torch.arange(length) / RATE * _between(0.0, 8.0, generator)
    )
    return body * envelope * _between(*LEVEL, generator)


def _tone(length: int, generator: torch.Generator) -> Tensor:
    """Harmonics of a pitch that glides a little."""
    pitch = PITCH[0] * (PITCH[1] / PITCH[0]) ** _between(0.0, 1.0, generator)
    glide = _between(-0.15, 0.15, generator)
    phase = 2 * math.pi * pitch / RATE * torch.cumsum(1 + glide * torch.arange(length) / length, 0)
    fall = _between(0.8, 2.0, generator)
    body = torch.zeros(length)
    for k in range(1, HARMONICS + 1):
        if k * pitch * 1.2 < RATE / 2:
            body += k**-fall * torch.sin(k * phase + _between(0, 2 * math.pi, generator))
    return body / body.abs().max()


def _chirp(length: int, generator: torch.Generator) -> Tensor:
    """A sine that sweeps between two frequencies."""
    low, high = (200 * 15 ** _between(0.0, 1.0, generator) for _ in range(2))
    frequency = low * (high / low) ** (torch.arange(length) / length)
    return 0.7 * torch.sin(2 * math.pi / RATE * torch.cumsum(frequency, 0))


def _burst(length: int, generator: torch.Generator) -> Tensor:
    """Noise in a band around a frequency."""
    spectrum = torch.fft.rfft(torch.randn(length, generator=generator))
    frequency = torch.linspace(0, RATE / 2, len(spectrum))
    centre = 400 * 7 ** _between(0.0, 1.0, generator)
    spectrum *= torch.exp(-(((frequency / centre).clamp(min=1e-3).log() / _between(0.2, 0.8, generator)) ** 2))
    body: Tensor = torch.fft.irfft(spectrum, n=length)
    return 0.6 * body / body.abs().max()


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))
