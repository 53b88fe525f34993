"""Gradient estimation."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag, in_range
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.first_order import slope


class GradientEstimation(Scheduler):
    """Euler's method along ``gamma eps_i + (1 - gamma) eps_{i-1}``, Permenter and Yuan 2023 (arXiv:2306.04848), eq. 8.

    Two successive outputs estimate the gradient of the distance to the data; ComfyUI's ``gradient_estimation``. 1 NFE
    per step, no noise. Order 1. ``gamma=1`` is Euler's method; 1.5 is Adams-Bashforth of order 2 on equal steps. The
    first step, and one that ends at sigma = 0, are Euler's.

    Args:
        gamma: weight of the newest output; the paper's 2 is best for images in few steps.
        cfg_pp: CFG++ (arXiv:2406.08070), ComfyUI's ``gradient_estimation_cfg_pp``: the slopes are those of the
            unconditional prediction, and the guided x0 is renoised along them.
    """

    paper = "arXiv:2306.04848"
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, gamma: float = 2.0, cfg_pp: bool = False
    ) -> None:
        super().__init__(grid, prediction)
        self.apart = flag("cfg_pp", cfg_pp)
        self.gamma = in_range("gamma", gamma, 1.0, 5.0)
        self.order = 2 if self.gamma == 1.5 else 1

    def init(self, x: X) -> State[X]:
        """The slope of the step before."""
        return (x * 0.0,)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        p, change = denoise(x, i), sigma_next - sigma
        eps = slope(x, (p.unguided if self.apart else p).x0, sigma)
        ahead = p.x0 + sigma_next * eps if self.apart else x + change * eps
        if self.taken(i) and sigma_next > 0:
            ahead = ahead + (change * (self.gamma - 1)) * (eps - state[0])
        return ahead, (eps,)
