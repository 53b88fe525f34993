"""Two 32-bit random words -> two standard normal float32 values, the same bits everywhere.

Box and Muller, "A note on the generation of random normal deviates", Annals of Mathematical Statistics 29(2),
1958, in the form that torch's CPU generator uses. All arithmetic is float32, each operation rounded once::

    u1 = 1 - (w1 & 0xFFFFFF) * 2^-24            in (0, 1], exact
    u2 =     (w2 & 0xFFFFFF) * 2^-24            in [0, 1), exact
    radius = sqrt(-2 * log(u1))
    theta  = TWO_PI * u2                        TWO_PI = float32(2 pi) = 0x1.921fb6p+2
    first  = radius * cos(theta) + 0
    second = radius * sin(theta) + 0            (the "+ 0" turns -0 into +0, as torch's last FMA does)

``log``, ``sin`` and ``cos`` are those of ``noise.cephes``; ``sqrt`` is IEEE. Uniforms of 24 bits bound the
values: the largest magnitude is sqrt(48 ln 2) = 5.77.
"""

from __future__ import annotations

import numpy as np

from samplegraph.runtime.noise.arrays import Float32s, Words
from samplegraph.runtime.noise.cephes import log, sincos

_TWO_PI = np.float32(6.283185307179586)
_MINUS_TWO = np.float32(-2.0)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_LOW_24_BITS = np.uint32(0x00FF_FFFF)
_TO_UNIT = np.float32(2.0**-24)
_CHUNK = 8192  # pairs worked on at a time: the float64 temporaries then stay in the second-level cache


def normal_pairs(w1: Words, w2: Words) -> tuple[Float32s, Float32s]:
    """Box-Muller on arrays of words.

    Args:
        w1, w2: uint32 arrays of one shape; only the low 24 bits count.

    Returns:
        ``(first, second)``: float32 arrays of that shape, independent standard normals.
    """
    flat1, flat2 = w1.reshape(-1), w2.reshape(-1)
    first = np.empty(flat1.shape, np.float32)
    second = np.empty(flat1.shape, np.float32)
    for start in range(0, flat1.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        u1 = _ONE - uniform24(flat1[part])
        theta = uniform24(flat2[part]) * _TWO_PI
        radius = np.sqrt(log(u1) * _MINUS_TWO)
        sine, cosine = sincos(theta)
        cosine *= radius
        sine *= radius
        np.add(cosine, _ZERO, out=first[part])
        np.add(sine, _ZERO, out=second[part])
    return first.reshape(w1.shape), second.reshape(w1.shape)


def uniform24(words: Words) -> Float32s:
    """The low 24 bits of each word as a float32 in ``[0, 1)``: exact, a multiple of 2^-24."""
    return (words & _LOW_24_BITS).astype(np.float32) * _TO_UNIT
