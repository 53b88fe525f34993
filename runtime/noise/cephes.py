"""Logarithm, sine and cosine of float32 values in a fixed sequence of float32 operations.

The library functions ``log``, ``sin`` and ``cos`` differ in the last bit between machines and libraries. The
functions here do not: they use only IEEE float32 ``+``, ``-``, ``*``, conversions, and fused multiply-adds
(``fma``, see ``noise.fma``), in the order written here. Every operation below is rounded to float32 once. A
C++ translation must keep this order and must not let the compiler contract further products and sums
(``-ffp-contract=off``; write each ``fma`` as ``std::fma``; never ``-ffast-math``).

Polynomials and range reduction: Moshier's Cephes library (single/logf.c, single/sinf.c), in the branch-free
form of Pommier's sse_mathfun and Garberoglio's avx_mathfun, which torch's AVX2 path uses. Which products are
fused is not in those sources: torch's compiler chose them. They were found by experiment and agree with torch
2.13.0 for each of the 2^24 uniforms that can reach each function (tests/runtime/test_noise_torch.py).

Where a language has no FMA (JavaScript): for these 2^24 arguments of each function, a float64 product and sum
rounded to float32, ``Math.fround(a * b + c)``, gives the same bits; no argument meets a double-rounding tie.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.noise.arrays import Float32s
from samplegraph.runtime.noise.fma import fma, horner

_f = np.float32
_ONE = _f(1.0)
_HALF = _f(0.5)

_SQRT_HALF = _f(0.707106781186547524)
_LOG_POLYNOMIAL = (
    _f(7.0376836292e-2),
    _f(-1.1514610310e-1),
    _f(1.1676998740e-1),
    _f(-1.2420140846e-1),
    _f(1.4249322787e-1),
    _f(-1.6668057665e-1),
    _f(2.0000714765e-1),
    _f(-2.4999993993e-1),
    _f(3.3333331174e-1),
)
_LN2_LOW = _f(-2.12194440e-4)  # ln 2 = _LN2_HIGH + _LN2_LOW
_LN2_HIGH = _f(0.693359375)

_FOUR_OVER_PI = _f(1.27323954473516)
_MINUS_DP1 = _f(-0.78515625)  # pi/4 = -(_MINUS_DP1 + _MINUS_DP2 + _MINUS_DP3)
_MINUS_DP2 = _f(-2.4187564849853515625e-4)
_MINUS_DP3 = _f(-3.77489497744594108e-8)
_SIN_POLYNOMIAL = (_f(-1.9515295891e-4), _f(8.3321608736e-3), _f(-1.6666654611e-1))
_COS_POLYNOMIAL = (_f(2.443315711809948e-5), _f(-1.388731625493765e-3), _f(4.166664568298827e-2))


def log(u: Float32s) -> Float32s:
    """Natural logarithm.

    Args:
        u: float32 array, each value a normal float32 > 0.

    Returns:
        float32 array of the same shape.

    Steps, with ``u = m * 2^e`` and ``0.5 <= m < 1``::

        if m < sqrt(1/2):  e = e - 1;  x = (m - 1) + m
        else:              x = m - 1
        z = x * x
        y = horner(x, 9 coefficients)     8 fma
        y = y * x
        y = fma(y, z, e * LN2_LOW)
        y = y - z * 0.5
        x = x + y
        return x + e * LN2_HIGH           (this product is exact, so fusing it changes nothing)
    """
    bits = u.view(np.int32)
    m = ((bits & np.int32(0x007F_FFFF)) | np.int32(0x3F00_0000)).view(np.float32)
    e = (bits >> np.int32(23)) - np.int32(126)
    small = m < _SQRT_HALF
    exponent = (e - small).astype(np.float32)
    x = m - _ONE
    x += m * small
    z = x * x
    y = horner(x, _LOG_POLYNOMIAL)
    y *= x
    y = fma(y, z, exponent * _LN2_LOW)
    z *= _HALF
    y -= z
    x += y
    exponent *= _LN2_HIGH
    x += exponent
    return x


def sincos(theta: Float32s) -> tuple[Float32s, Float32s]:
    """Sine and cosine.

    Args:
        theta: float32 array in radians, each value in ``[0, 8192)``.

    Returns:
        ``(sine, cosine)``, float32 arrays of the same shape.

    Steps::

        j = int32(theta * (4/pi)), truncated;  j = (j + 1) & ~1      (even octant number)
        y = float32(j)
        x = (theta + y * MINUS_DP1) + y * MINUS_DP2     (exact products: fusing them changes nothing)
        x = fma(y, MINUS_DP3, x)                        (fused: matters for 3 arguments in 2^24)
        z = x * x
        c = horner(z, 3 coefficients of cosine)                      2 fma
        c = fma(c * z, z, -(z * 0.5))
        c = c + 1
        s = horner(z, 3 coefficients of sine)                        2 fma
        s = fma(s * z, x, x)
        if j & 2:  sine, cosine = c, s
        else:      sine, cosine = s, c
        if j & 4:         sine = -sine
        if (j + 2) & 4:   cosine = -cosine
    """
    j = (theta * _FOUR_OVER_PI).astype(np.int32)
    j += np.int32(1)
    j &= np.int32(~1)
    y = j.astype(np.float32)
    x = theta + y * _MINUS_DP1
    x += y * _MINUS_DP2
    x = fma(y, _MINUS_DP3, x)
    z = x * x
    c = horner(z, _COS_POLYNOMIAL)
    c *= z
    c = fma(c, z, z * -_HALF)
    c += _ONE
    s = horner(z, _SIN_POLYNOMIAL)
    s *= z
    s = fma(s, x, x)
    swap = (j & np.int32(2)) != 0
    sine = np.where(swap, c, s)
    cosine = np.where(swap, s, c)
    _flip_sign(sine, j & np.int32(4))
    _flip_sign(cosine, (j + np.int32(2)) & np.int32(4))
    return sine, cosine


def _flip_sign(values: Float32s, four_where_negative: npt.NDArray[np.int32]) -> None:
    """Flip, in place, the sign bit where the second argument is 4 (and not where it is 0)."""
    bits = values.view(np.int32)
    bits ^= four_where_negative << np.int32(29)
