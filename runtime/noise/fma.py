"""Fused multiply-add in float32, exact, for numpy.

``fma(a, b, c)`` is ``a * b + c`` rounded once to float32 (IEEE 754-2019 fusedMultiplyAdd, round to nearest,
ties to even). In C and C++ it is ``fmaf`` / ``std::fma(float, float, float)``; numpy has none, so it is
made of float64 operations:

1. The product of two float32 values has at most 48 significant bits: exact in float64 (53 bits).
2. The float64 sum ``s = a*b + c`` is rounded. Rounding it again to float32 gives the right answer unless
   ``s`` lies exactly half-way between two float32 values *and* the first rounding was inexact, for then the
   tie is broken without knowing on which side of the half-way point the exact sum lies (double rounding).
3. A half-way point has 25 significant bits or fewer, so the low 28 bits of such an ``s`` are zero (this also
   holds for half-way points between subnormal float32 values and at the overflow threshold). The few elements
   of that kind are rounded *to odd* instead: the exact error of the sum is found with Knuth's TwoSum, and if
   it is not zero the last bit of ``s`` is made odd, on the side on which the exact sum lies. Rounding to odd
   first and to nearest afterwards equals rounding once.

Sources: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding
to odd", IEEE Transactions on Computers 57(4), 2008, theorem 3; Knuth, TAOCP 2, section 4.2.2, theorem B
(TwoSum).
"""

from __future__ import annotations

import numpy as np

from samplegraph.runtime.noise.arrays import Float32s, Float64s

_LOW_28_BITS = np.int64(0x0FFF_FFFF)


def fma(a: Float32s, b: Float32s | np.float32, c: Float32s | np.float32) -> Float32s:
    """``a * b + c`` with one rounding.

    Args:
        a: float32 array, of the shape of the result.
        b, c: float32 arrays of the same shape, or float32 scalars.

    Returns:
        float32 array of ``a``'s shape.

    Values must be finite; subnormal values and results that overflow to infinity are right, too.
    """
    total = np.multiply(a, b, dtype=np.float64)
    total += c
    _settle_ties(total, a, b, c)
    with np.errstate(over="ignore"):
        return total.astype(np.float32)


def horner(x: Float32s, coefficients: tuple[np.float32, ...]) -> Float32s:
    """A polynomial by Horner's rule with one FMA per step.

    ``y = coefficients[0]``, then ``y = fma(y, x, k)`` for each further coefficient ``k``: the highest power
    comes first, the constant term last.

    Args:
        x: float32 array.
        coefficients: at least two float32 scalars.

    Returns:
        float32 array of ``x``'s shape.
    """
    wide = x.astype(np.float64)
    total = np.empty_like(wide)
    y = np.full_like(x, coefficients[0])
    for k in coefficients[1:]:
        np.multiply(wide, y, out=total)
        total += k
        _settle_ties(total, y, x, k)
        y = total.astype(np.float32)
    return y


def _settle_ties(total: Float64s, a: Float32s, b: Float32s | np.float32, c: Float32s | np.float32) -> None:
    """Round to odd, in place, the elements of the float64 ``total`` that could be float32 half-way points."""
    low = total.view(np.int64) & _LOW_28_BITS
    if low.all():
        return
    rare = low == 0
    s = total[rare]
    product = a[rare].astype(np.float64) * np.broadcast_to(b, a.shape)[rare]
    addend = np.broadcast_to(c, a.shape)[rare].astype(np.float64)
    virtual = s - product
    error = (product - (s - virtual)) + (addend - virtual)
    bits = s.view(np.int64)
    inexact_and_even = (error != 0) & ((bits & 1) == 0)
    away_from_zero = (error > 0) == (s > 0)
    bits += np.where(inexact_and_even, np.where(away_from_zero, 1, -1), 0)
    total[rare] = s
