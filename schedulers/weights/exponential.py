"""Weights of the exponential integrators in lambda = log(alpha/sigma), in the precision of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.precision import floats


@dataclass(frozen=True)
class ExponentialWeights:
    """One step of DPM-Solver or DPM-Solver++ from each grid point, as rows of floats over the steps.

    ``x_next = keep * x + first * D0 + second * D1 + third * D2 + std * z`` with D0 the newest output m0 (x0 or eps)
    and D1, D2 its differences over lambda in units of this step's length:
    ``newer * (m0 - m1)`` and ``older * (m1 - m2)`` are the two slopes, ``blend`` and ``bend`` weigh their difference.
    """

    keep: list[float]
    first: list[float]
    second: list[float]
    third: list[float]
    std: list[float]
    newer: list[float]
    older: list[float]
    blend: list[float]
    bend: list[float]


def exponential_weights(
    grid: Grid, *, on_x0: bool, stochastic: bool, starts: Sequence[int] | None = None, corrected: bool = False
) -> ExponentialWeights:
    """DPM-Solver (arXiv:2206.00927, eq. B.7) on eps, DPM-Solver++ (arXiv:2211.01095, eq. 9) on x0, or their SDE forms.

    The operations follow diffusers' one by one. The integrals of ``exp`` times a polynomial over the step are the
    phi functions; ``third`` of the stochastic x0 form carries diffusers' sign, where ``q + 0.5`` is right.

    The midpoint rule weighs D1 by half of ``first`` in place of ``second``.

    Args:
        starts: points from which the steps that lead to points 1, 2, ... start; each from the one before where None.
        corrected: the right sign.
    """
    alpha, sigma = grid.tensor("alpha"), grid.tensor("sigma")
    lam = alpha.log() - sigma.log()
    start = list(range(grid.points) if starts is None else starts)
    h, k = lam[1:] - lam[start], 2.0 if stochastic else 1.0
    alpha_next, sigma_next = alpha[1:], sigma[1:]
    if on_x0:
        grown = 1.0 - (-k * h).exp()
        keep = sigma_next / sigma[start] * ((-h).exp() if stochastic else 1.0)
        first = alpha_next * grown
        second = alpha_next * (grown / (-k * h) + 1.0)
        q = (grown - k * h) / (k * h) ** 2
        third = alpha_next * (q - 0.5 if stochastic and not corrected else q + 0.5)
        std = sigma_next * (1.0 - (-2 * h).exp()).sqrt()
    else:
        grown = h.exp() - 1.0
        keep = alpha_next / alpha[start]
        first = -k * (sigma_next * grown)
        second = -k * (sigma_next * (grown / h - 1.0))
        third = -(sigma_next * ((grown - h) / h**2 - 0.5))
        std = sigma_next * ((2 * h).exp() - 1.0).sqrt()
    r0, r1 = h.roll(1) / h, h.roll(2) / h
    rows = (keep, first, second, third, std, 1.0 / r0, 1.0 / r1, r0 / (r0 + r1), 1.0 / (r0 + r1))
    return ExponentialWeights(*(floats(row) for row in rows))
