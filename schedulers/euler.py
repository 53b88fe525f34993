"""Euler's method."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State, X
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import SIGMA_DEFAULTS, GridOptions
from samplegraph.schedulers.prediction import PredictionOptions
from samplegraph.schedulers.sigma_grid import k_diffusion_grid


class Euler(Scheduler):
    """Euler's method on dx/dsigma = eps, Karras et al. 2022 (arXiv:2206.00364), Algorithm 2 without churn.

    1 NFE per step, no noise. Order 1. The same formula as DDIM with eta = 0, on a grid with alpha = 1.
    """

    diffusers_class = "EulerDiscreteScheduler"
    paper = "arXiv:2206.00364"
    grid_defaults = {
        **SIGMA_DEFAULTS,
        "sigmas": None,
        "sigma_min": None,
        "sigma_max": None,
        "final_sigmas_type": "zero",
        "interpolation_type": "linear",
        "timestep_type": "discrete",
    }

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)

    @classmethod
    def build_grid(cls, steps: int, options: GridOptions) -> Grid:
        return k_diffusion_grid(steps, options)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        return x + (sigma_next - sigma) * denoise(x, i).eps, state  # type: ignore[operator]
