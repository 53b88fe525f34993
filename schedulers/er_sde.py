"""ER-SDE."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range, whole
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid

#: Gauss-Legendre nodes and weights on [-1, 1]; the integrands are smooth.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


class ERSDE(Scheduler):
    """Extended reverse-time SDE solver, Cui et al. 2023 (arXiv:2309.06169), Algorithms 1 to 3; ComfyUI's ``er_sde``.

    The noise scale function is the paper's ER-SDE 5, ``phi(s) = s (exp(s^0.3) + 10)``. 1 NFE per step; with
    ``s_noise`` 1 noise in every step that does not end at sigma = 0. Order 2, and 1 with ``max_stage=1``. The integrals
    over a step are computed exactly, where the paper's code sums 100 values and ComfyUI's 200.

    Args:
        max_stage: 1, 2 or 3 latest outputs that a step uses.
        s_noise: factor of the noise.
    """

    paper = "arXiv:2309.06169"
    order = 2
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, max_stage: int = 3, s_noise: float = 1.0
    ) -> None:
        super().__init__(grid, prediction)
        self.max_stage = whole("max_stage", max_stage, 1, 3)
        self.s_noise = in_range("s_noise", s_noise, 0.0, 100.0)
        self.order = min(self.max_stage, 2)

    def init(self, x: X) -> State[X]:
        """The x0 of the step before, and its slope over sigma."""
        return (x * 0.0,) * 2

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        x0, (before, slope_before) = denoise(x, i).x0, state
        if sigma_next == 0:
            return x0, (x0, slope_before)
        stages, change = min(self.max_stage, self.taken(i) + 1), sigma_next - sigma
        end, slope = noise_scale(sigma_next), slope_before
        kept = end / noise_scale(sigma)
        x = kept * x + (1 - kept) * x0
        if stages > 1:
            slope = (x0 - before) / (sigma - float(self.grid.sigma[i - 1]))
            x = x + (change + end * _integral(lambda s: 1 / noise_scale(s), sigma_next, sigma)) * slope
        if stages > 2:
            bend = (slope - slope_before) * (2 / (sigma - float(self.grid.sigma[i - 2])))
            inner = _integral(lambda s: (s - sigma) / noise_scale(s), sigma_next, sigma)
            x = x + (change**2 / 2 + end * inner) * bend
        if self.s_noise:
            x = x + (self.s_noise * sqrt(max(0.0, sigma_next**2 - (kept * sigma) ** 2))) * noise()
        return x, (x0, slope)


def noise_scale(sigma: float) -> float:
    """ER-SDE 5 of the paper, its eq. 25."""
    return float(sigma * (exp(sigma**0.3) + 10.0))


def _integral(of: Callable[[float], float], low: float, high: float) -> float:
    middle, half = (low + high) / 2, (high - low) / 2
    return half * sum(float(w) * of(middle + half * float(s)) for s, w in zip(_NODES, _WEIGHTS, strict=True))
