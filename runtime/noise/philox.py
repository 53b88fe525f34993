"""Philox4x32-10: a bijection that turns a 128-bit counter and a 64-bit key into 128 random bits.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011
(doi:10.1145/2063384.2063405). There is no state: the words of a counter value can be computed alone, in any
order, on any machine.

With counter words ``c0..c3`` and key words ``k0, k1`` (all arithmetic modulo 2^32), one round is::

    p0 = 0xD2511F53 * c0;   p1 = 0xCD9E8D57 * c2                (32 x 32 -> 64 bits)
    c0, c1, c2, c3 = hi(p1) ^ c1 ^ k0,  lo(p1),  hi(p0) ^ c3 ^ k1,  lo(p0)

Ten rounds; before each but the first the key moves on: ``k0 += 0x9E3779B9``, ``k1 += 0xBB67AE85``. The
output is the four words ``c0..c3``. It equals the known-answer vectors of Random123 (``kat_vectors``).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from samplegraph.runtime.noise.arrays import Words

Counter: TypeAlias = tuple[Words, Words, Words, Words]

ROUNDS = 10
_MULTIPLIER_0 = np.uint64(0xD251_1F53)
_MULTIPLIER_1 = np.uint64(0xCD9E_8D57)
_WEYL_0 = np.uint64(0x9E37_79B9)  # 2^32 times the golden ratio
_WEYL_1 = np.uint64(0xBB67_AE85)  # 2^32 (sqrt(3) - 1)
_LOW_32_BITS = np.uint64(0xFFFF_FFFF)
_32 = np.uint64(32)


def philox4x32(counter: Counter, key: tuple[Words, Words]) -> Counter:
    """Ten rounds of Philox4x32 on arrays.

    Args:
        counter: four uint32 arrays ``c0, c1, c2, c3`` of one shape ``(n,)``.
        key: two uint32 arrays ``k0, k1`` of the same shape.

    Returns:
        four uint32 arrays ``(n,)``.
    """
    c0, c1, c2, c3 = (word.astype(np.uint64) for word in counter)
    k0, k1 = (word.astype(np.uint64) for word in key)
    for number in range(ROUNDS):
        if number:
            k0 = (k0 + _WEYL_0) & _LOW_32_BITS
            k1 = (k1 + _WEYL_1) & _LOW_32_BITS
        p0 = c0 * _MULTIPLIER_0
        p1 = c2 * _MULTIPLIER_1
        c0, c1, c2, c3 = (
            (p1 >> _32) ^ c1 ^ k0,
            p1 & _LOW_32_BITS,
            (p0 >> _32) ^ c3 ^ k1,
            p0 & _LOW_32_BITS,
        )
    return c0.astype(np.uint32), c1.astype(np.uint32), c2.astype(np.uint32), c3.astype(np.uint32)
