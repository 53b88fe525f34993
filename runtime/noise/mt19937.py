"""The 32-bit Mersenne Twister, seeded as torch's CPU generator seeds it.

Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number
generator", ACM TOMACS 8(1), 1998. State: 624 words, filled by the 2002 ``init_genrand(s)``::

    key[0] = s;   key[i] = 1812433253 * (key[i-1] ^ (key[i-1] >> 30)) + i   (mod 2^32),  i = 1..623

A new generator twists the state before it gives its first word. torch's seed has 64 bits; only the low 32
take part, so seeds that agree modulo 2^32 give equal noise (torch 2.13.0; checked by the tests).

numpy's ``RandomState(int)`` seeds in this way and its stream is frozen by numpy's policy (NEP 19): no seeding
code is needed here. ``std::mt19937`` of C++ is the same generator: ``std::mt19937 g(uint32_t(seed))``.
"""

from __future__ import annotations

import numpy as np

from samplegraph.runtime.noise.arrays import Words

_2_TO_32 = 1 << 32


class Mt19937:
    """A stream of 32-bit words.

    Args:
        seed: any int >= 0; the low 32 bits are used.
    """

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed % _2_TO_32)

    def words(self, count: int) -> Words:
        """The next ``count`` words: a uint32 array ``(count,)``."""
        return self._state.randint(0, _2_TO_32, size=count, dtype=np.uint32)
