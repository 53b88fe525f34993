"""The phi functions of exponential integrators."""

from __future__ import annotations

from math import expm1, factorial


def phi(k: int, z: float) -> float:
    """``phi_k(z) = (phi_{k-1}(z) - 1 / (k-1)!) / z`` with ``phi_0 = exp``; ``phi_k(0) = 1 / k!``.

    Hochbruck and Ostermann 2010 (Acta Numerica 19), eq. 2.10. Near 0, where the recursion cancels, by its series.
    """
    if k == 0:
        return expm1(z) + 1.0
    if abs(z) < 0.5:
        return sum(z**n / factorial(n + k) for n in range(16))
    value = expm1(z) / z
    for j in range(1, k):
        value = (value - 1 / factorial(j)) / z
    return value
