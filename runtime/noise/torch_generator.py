"""Standard normals, bit-equal to ``torch.randn(shape, generator=g)`` on the CPU, without torch.

Equal to torch 2.13.0 where ``torch.backends.cpu.get_cpu_capability()`` is AVX2 or AVX512 (one code path
serves both). On other processors torch itself calls its C library's ``log`` and ``cos`` and gives other last
bits.

One draw of ``n`` elements, written in C order, from the word stream of ``noise.mt19937``:

**n >= 16, float32.** Take ``n`` words. For each whole block of 16 (elements ``16 i .. 16 i + 15``) word
``j`` and word ``j + 8`` of the block (``j = 0..7``) give, by ``noise.box_muller``, elements ``j`` (first,
cosine) and ``j + 8`` (second, sine). Words after the last whole block are thrown away. If ``n`` is no
multiple of 16, take 16 more words: they give, in the same way, the *last* 16 elements, which overwrite what
stood there.

**n >= 16, float16.** The same, computed in float32 and rounded to nearest even, except that words are taken
block by block: the ``n mod 16`` words which the float32 draw throws away are not taken. So a float16 draw is
the rounded float32 draw where 16 divides ``n``, and ends differently where it does not. (torch has done so
since pull request 179834 of 2026; earlier versions drew float16 uniforms.)

**1 <= n < 16, both types.** In double precision, one element at a time, in order. A normal may be cached in
the generator; if so, it is the element, and the cache is emptied. If not, two 64-bit ints ``a``, ``b`` are
taken (two words each, the first word is the high half)::

    u1 = (a & (2^53 - 1)) * 2^-53;  u2 = (b & (2^53 - 1)) * 2^-53
    r = sqrt(-2 * log1p(-u2));      theta = 2 * pi * u1
    element = r * cos(theta) + 0;   cache = r * sin(theta)

and the element is rounded to float32 (then to float16). The cache outlives the draw, is shared by both
types, and is untouched by draws of 16 and more. Here ``log1p``, ``sin`` and ``cos`` are those of the C
library in double precision: two libraries whose last double bits differ give the same float32 except with a
probability of about 2^-29 per value.

**n = 0** takes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.noise.arrays import Float32s, Float64s, NoiseArray, Words
from samplegraph.runtime.noise.box_muller import normal_pairs
from samplegraph.runtime.noise.checks import check_count, check_dtype, check_seed, check_shape
from samplegraph.runtime.noise.mt19937 import Mt19937

_BLOCK = 16
_LOW_53_BITS = (1 << 53) - 1
_TO_UNIT = 2.0**-53


class TorchGenerator:
    """``torch.Generator("cpu").manual_seed(seed)``: a stream of normals with a state.

    Args:
        seed: int from 0 to 2^64 - 1. As in torch only the low 32 bits matter.

    Raises:
        NoiseError: for any other seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = check_seed(seed)
        self._engine = Mt19937(self.seed)
        self._cached: float | None = None

    def normal(self, shape: Sequence[int], dtype: npt.DTypeLike = np.float32) -> NoiseArray:
        """``torch.randn(shape, generator=self, dtype=dtype)``.

        Args:
            shape: ints >= 0; ``()`` is one element.
            dtype: float32 or float16.

        Returns:
            array of that shape and type, C order.

        Raises:
            NoiseError: for any other shape or dtype.
        """
        draws = self.normals(1, shape, dtype)
        return draws.reshape(draws.shape[1:])

    def normals(self, count: int, shape: Sequence[int], dtype: npt.DTypeLike = np.float32) -> NoiseArray:
        """``count`` successive draws of one shape, ``(count, *shape)``; faster than calls of `normal`.

        Args:
            count: number of draws, >= 0.
            shape, dtype: as in `normal`.

        Raises:
            NoiseError: as in `normal`.
        """
        check_count(count, "count", smallest=0)
        kind = check_dtype(dtype)
        dims = check_shape(shape, "shape", smallest=0)
        size = math.prod(dims)
        if size >= _BLOCK:
            values = self._long_draws(count, size, throw_away=kind == np.float32)
        else:
            values = self._short_draws(count * size).astype(np.float32)
        return values.astype(kind, copy=False).reshape(count, *dims)

    def uniforms(self, count: int, shape: Sequence[int]) -> Float32s:
        """``count`` successive ``torch.rand(shape, generator=self)``, ``(count, *shape)`` float32: the low 24 bits of
        one word per element, times 2^-24.

        Raises:
            NoiseError: as in `normal`.
        """
        check_count(count, "count", smallest=0)
        dims = check_shape(shape, "shape", smallest=0)
        words = self._engine.words(count * math.prod(dims)) & np.uint32((1 << 24) - 1)
        return (words.astype(np.float32) * np.float32(2.0**-24)).reshape(count, *dims)

    def _long_draws(self, count: int, size: int, *, throw_away: bool) -> Float32s:
        """Draws of 16 and more elements: ``(count, size)``."""
        whole, rest = size - size % _BLOCK, size % _BLOCK
        main = size if throw_away else whole
        taken = main + (_BLOCK if rest else 0)
        words = self._engine.words(count * taken).reshape(count, taken)
        out = np.empty((count, size), np.float32)
        out[:, :whole] = _blocks(words[:, :whole])
        if rest:
            out[:, -_BLOCK:] = _blocks(words[:, -_BLOCK:])
        return out

    def _short_draws(self, size: int) -> Float64s:
        """``size`` elements of draws of fewer than 16, one after another, in double precision."""
        values = [] if self._cached is None or not size else [self._cached]
        if size:
            self._cached = None
        pairs = (size - len(values) + 1) // 2
        for first, second, third, fourth in self._engine.words(4 * pairs).reshape(pairs, 4).tolist():
            u1 = ((first << 32 | second) & _LOW_53_BITS) * _TO_UNIT
            u2 = ((third << 32 | fourth) & _LOW_53_BITS) * _TO_UNIT
            radius = math.sqrt(-2.0 * math.log1p(-u2))
            theta = 2.0 * math.pi * u1
            values += (radius * math.cos(theta), radius * math.sin(theta))
        if len(values) > size:
            self._cached = values.pop()
        return np.array(values, np.float64) + 0.0


def _blocks(words: Words) -> Float32s:
    """Blocks of 16 words to blocks of 16 normals: ``(count, 16 k)`` to the same shape."""
    count, size = words.shape
    halves = words.reshape(count, size // _BLOCK, 2, _BLOCK // 2)
    first, second = normal_pairs(halves[:, :, 0], halves[:, :, 1])
    return np.stack((first, second), axis=2).reshape(count, size)
