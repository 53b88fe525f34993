"""The phi functions of exponential integrators."""

from __future__ import annotations

from math import exp, factorial


def phi(k: int, z: float) -> float:
    """``phi_0 = exp(z)``, ``phi_k(z) = (phi_{k-1}(z) - 1 / (k - 1)!) / z``, and 1 / k! at 0.

    Hochbruck and Ostermann 2010 (Acta Numerica 19), eq. 2.10: ``phi_k`` integrates a polynomial of degree k - 1
    against the exponential of a step.
    """
    if abs(z) < max(1.0, k / 2):  # where the recurrence would cancel
        return sum(z**j / factorial(j + k) for j in range(24 + k))
    value = exp(z)
    for j in range(k):
        value = (value - 1.0 / factorial(j)) / z
    return value
