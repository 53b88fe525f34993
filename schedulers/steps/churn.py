"""Churn: noise put back before a deterministic step, Karras et al. 2022 (arXiv:2206.00364), Algorithm 2."""

from __future__ import annotations

from math import inf

from samplegraph.schedulers.base import Grid, Noise, X
from samplegraph.schedulers.errors import in_range
from samplegraph.schedulers.precision import floats


class Churn:
    """``raised`` are the sigmas to which churn lifts the samples, ``change`` the way from there to the next ones,
    (N,) each, and ``std`` the deviation that gets them there.

    Args:
        spread: number of evaluations that ``s_churn`` is spread over; each raises sigma by at most a factor sqrt(2).
        s_tmin, s_tmax: range of sigmas in which there is churn.
        s_noise: deviation of the noise that it adds.

    Raises:
        OptionError: a value is negative or no number.
    """

    def __init__(
        self, grid: Grid, spread: float, s_churn: float, s_tmin: float, s_tmax: float, s_noise: float
    ) -> None:
        self.low, self.high = in_range("s_tmin", s_tmin, 0.0, inf), in_range("s_tmax", s_tmax, 0.0, inf)
        self.s_noise = in_range("s_noise", s_noise, 0.0, inf)
        self.amount = in_range("s_churn", s_churn, 0.0, inf)
        self.sigma = grid.sigma
        sigma, sigma_next = grid.tensor("sigma")[: grid.points], grid.tensor("sigma_next")
        raised = sigma * (min(self.amount / spread, 2**0.5 - 1) + 1)
        raised = raised.where((sigma >= self.low) & (sigma <= self.high), sigma)
        self.raised, self.change = floats(raised), floats(sigma_next - raised)
        self.std = floats((raised**2 - sigma**2) ** 0.5)

    def at(self, i: int) -> bool:
        """Whether step ``i`` is churned."""
        return self.amount > 0 and self.low <= self.sigma[i] <= self.high

    def moved(self, i: int, x: X, noise: Noise[X]) -> X:
        """The sample at ``raised[i]``."""
        return x + self.std[i] * (self.s_noise * noise())
