"""Streaming: window after window, each given the last frame that was heard, faded into it over one frame.

Window k starts FRAME samples before sample HOP * k and needs the bands of frames HOP_FRAMES * k - 2 to
HOP_FRAMES * k + 3, so that a stream runs one frame behind its bands. cpp/signal_stream.cpp is the same loop. Both take
the noise of window k from the seed ``seed + k``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from examples.signal.bands import BANDS, FRAME, gain_of
from examples.signal.network import FRAMES, SEEN_FRAMES, WINDOW
from samplegraph.models import Sampler
from samplegraph.runtime import Engine
from samplegraph.runtime.noise import draw

Floats = npt.NDArray[np.float32]
HOP_FRAMES = FRAMES - 1
HOP = HOP_FRAMES * FRAME

#: A window's bands (SEEN_FRAMES, BANDS), context (FRAME,) and seed -> its samples (WINDOW,), in units of its gain.
Decoder = Callable[[Floats, Floats, int], Floats]


def eager(sampler: Sampler) -> Decoder:
    """Windows by the sampler in torch, the reference."""

    def decode(bands: Floats, context: Floats, seed: int) -> Floats:
        noise, _ = draw(seed, samples=1, sample_shape=(1, WINDOW), slices=0)
        given = {"bands": torch.from_numpy(bands)[None], "context": torch.from_numpy(context)[None]}
        with torch.no_grad():
            out: Floats = sampler(torch.from_numpy(noise), **given).numpy()[0, 0]
        return out

    return decode


def graph(file: Path) -> Decoder:
    """Windows by the exported graph in the Python runtime."""
    engine = Engine(file, threads=1)

    def decode(bands: Floats, context: Floats, seed: int) -> Floats:
        out: Floats = engine(seed=seed, bands=bands[None], context=context[None])[0, 0]
        return out

    return decode


def fade() -> Floats:
    """How much of the new window is heard over its first frame, (FRAME,): from 0 to 1."""
    return ((np.arange(FRAME, dtype=np.float32) + np.float32(0.5)) / np.float32(FRAME)).astype(np.float32)


def stream(decoder: Decoder, bands: Floats, seed: int) -> Floats:
    """Samples for the bands of K frames, (K, BANDS) -> (HOP * ceil(K / HOP_FRAMES),)."""
    windows = -(-len(bands) // HOP_FRAMES)
    silence = np.zeros((2, BANDS), dtype=np.float32), np.zeros((SEEN_FRAMES, BANDS), dtype=np.float32)
    padded = np.concatenate([silence[0], bands, silence[1]])
    heard, rising, out = np.zeros(FRAME, dtype=np.float32), fade(), []
    for k in range(windows):
        seen = padded[HOP_FRAMES * k :][:SEEN_FRAMES]
        gain = gain_of(torch.from_numpy(seen)[None]).numpy()
        window = gain * decoder(seen, heard / gain, seed + k)
        window[:FRAME] = heard + rising * (window[:FRAME] - heard)
        out.append(window[:HOP])
        heard = window[HOP:]
    # The first frame is what came before the stream.
    return np.concatenate([*out, heard])[FRAME:]
