"""Standard normals from Philox4x32-10: every value is a function of (seed, sample, slice, element) alone.

Nothing else enters: not the batch, not the number of slices, not the shape beyond the element's flat index
in C order, not the machine. Layout of the 128-bit counter and the 64-bit key, in 32-bit words::

    c0 = block = element // 4        k0 = seed mod 2^32
    c1 = slice                       k1 = seed // 2^32
    c2 = sample
    c3 = 0 (reserved)

*Slice* 0 is the initial noise; slice ``k + 1`` is ``step_noise[k]`` (slice ``k`` in a program without ``noise``).
*Sample* is the row of the batch (0 where each sample has a seed of its own). The four output words ``w0..w3`` of
``philox4x32`` give the four elements ``4 block .. 4 block + 3`` by two Box-Muller transforms (``noise.box_muller``)::

    element 4 block + 0, + 1 = first, second of (w0, w1)       first: cosine, second: sine
    element 4 block + 2, + 3 = first, second of (w2, w3)

If 4 does not divide the size of a sample, the values beyond its end are dropped. float16 noise is float32
noise rounded to nearest even. Limits: 2^32 samples, slices and blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samplegraph.runtime.noise.arrays import Float32s
from samplegraph.runtime.noise.box_muller import normal_pairs
from samplegraph.runtime.noise.errors import NoiseError
from samplegraph.runtime.noise.philox import philox4x32

_2_TO_32 = 1 << 32
_CHUNK = 1 << 14  # counters worked on at a time
_PER_BLOCK = 4


def philox_normals(streams: Sequence[tuple[int, int]], slices: range, size: int) -> Float32s:
    """Normals of some streams and some slices.

    Args:
        streams: ``(seed, sample)`` of each of M rows; seed from 0 to 2^64 - 1, sample from 0 to 2^32 - 1.
        slices: numbers of the S slices, each from 0 to 2^32 - 1.
        size: elements of a sample, >= 1.

    Returns:
        float32 array ``(S, M, size)``.

    Raises:
        NoiseError: where a number does not fit its counter word.
    """
    blocks = -(-size // _PER_BLOCK)
    rows = len(streams)
    _check_word("sample_shape", size, blocks - 1, "make the sample smaller than 2**34 elements")
    _check_word("samples", rows, max((sample for _, sample in streams), default=0), "draw fewer samples")
    _check_word("slices", len(slices), max(slices, default=0), "draw fewer slices")

    low = np.array([seed % _2_TO_32 for seed, _ in streams], np.uint32)
    high = np.array([seed // _2_TO_32 for seed, _ in streams], np.uint32)
    sample = np.array([number for _, number in streams], np.uint32)
    slice_number = np.array(slices, np.uint32)

    out = np.empty((len(slices) * rows * blocks, _PER_BLOCK), np.float32)
    for start in range(0, len(out), _CHUNK):
        place = np.arange(start, min(start + _CHUNK, len(out)))
        line, block = np.divmod(place, blocks)
        s, row = np.divmod(line, rows)
        counter = block.astype(np.uint32), slice_number[s], sample[row], np.zeros(len(place), np.uint32)
        w0, w1, w2, w3 = philox4x32(counter, (low[row], high[row]))
        first, second = normal_pairs(np.stack((w0, w2), axis=1), np.stack((w1, w3), axis=1))
        out[place[0] : place[-1] + 1] = np.stack((first, second), axis=2).reshape(-1, _PER_BLOCK)
    return np.ascontiguousarray(out.reshape(len(slices), rows, blocks * _PER_BLOCK)[..., :size])


def _check_word(argument: str, value: int, largest: int, fix: str) -> None:
    if largest >= _2_TO_32:
        raise NoiseError(argument, value, "what fits a 32-bit word of the Philox counter", fix)
