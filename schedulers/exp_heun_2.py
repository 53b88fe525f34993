"""Exponential Heun."""

from __future__ import annotations

from math import exp, log

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.weights.phi import phi


class ExpHeun2(Scheduler):
    """Two-stage exponential Runge-Kutta on x0 with its second stage at the end of the step, ComfyUI's
    ``exp_heun_2_x0``.

    Hochbruck and Ostermann 2005 (SIAM J. Numer. Anal. 43), eq. 5.4 with c2 = 1, in lambda = log(alpha/sigma) as in
    Zhang et al. 2023 (arXiv:2308.02157, section 3.1). 2 NFE per step and 1 in one that ends at sigma = 0. No noise.
    Order 2. The same as ``seeds_2`` with ``eta=0``, ``r=1`` and ``phi_2``; its second evaluation is at the next grid
    point.
    """

    paper = "arXiv:2308.02157"
    order = 2
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        x0 = denoise(x, i).x0
        if sigma_next == 0:
            return x0, state
        h = log(sigma / sigma_next)
        ahead = exp(-h) * x + (h * phi(1, -h)) * x0
        return ahead + (h * phi(2, -h)) * (denoise(ahead, i + 1).x0 - x0), state
