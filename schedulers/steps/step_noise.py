"""Noise that grows over one step, for methods that look at the sample between its ends."""

from __future__ import annotations

from math import exp, expm1, sqrt
from typing import Generic

from samplegraph.schedulers.base import Noise, X


class StepNoise(Generic[X]):
    """The noise of a reverse SDE at increasing fractions of one step, in units of sigma there.

    Over a fraction ``c`` of the step what was there decays by ``exp(-c rate)`` and fresh noise of variance
    ``1 - exp(-2 c rate)`` is added, so that the values at all fractions are those of one Ornstein-Uhlenbeck path:
    Gonzalez et al. 2023 (arXiv:2305.14267), section 3. One draw for each fraction asked for; none at rate 0.

    Args:
        rate: ``eta`` times the step in lambda.
        scale: factor of the fresh noise.
    """

    def __init__(self, noise: Noise[X], rate: float, scale: float = 1.0) -> None:
        self._noise, self._rate, self._scale = noise, rate, scale
        self._at = 0.0
        self._value: X | None = None

    def added(self, x: X, sigma: float, fraction: float) -> X:
        """``x`` at this fraction of the step, where the deviation of its noise is ``sigma``, with the noise."""
        if self._rate == 0:
            return x
        grown = self._rate * (fraction - self._at)
        fresh = (self._scale * sqrt(-expm1(-2 * grown))) * self._noise()
        value = fresh if self._value is None else exp(-grown) * self._value + fresh
        self._at, self._value = fraction, value
        return x + sigma * value
