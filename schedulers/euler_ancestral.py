"""Euler's method with ancestral noise."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag
from samplegraph.schedulers.grids.options import COMMON_BETAS, SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.ancestral import ancestral
from samplegraph.schedulers.steps.first_order import euler, renoised_apart


class EulerAncestral(Scheduler):
    """Ancestral sampling with Euler steps, k-diffusion's ``sample_euler_ancestral``.

    Each step goes down to ``sigma_down`` and adds noise up to the next sigma. 1 NFE and 1 noise per step (also in
    the last, where its coefficient is 0). Order 1. The same law as DDIM with eta = 1, on a grid with alpha = 1.

    Args:
        cfg_pp: CFG++, Chung et al. 2024 (arXiv:2406.08070), ComfyUI's ``euler_ancestral_cfg_pp``: the guided x0 meets
            the unconditional eps. Its guidance scales lie between 0 and 1.
    """

    diffusers_class = "EulerAncestralDiscreteScheduler"
    k_diffusion = "sample_euler_ancestral"
    diffusers_values = {
        "beta_schedule": COMMON_BETAS,
        "prediction_type": ("epsilon", "v_prediction"),
        "respacing": (),
        "sigma_min": (),
        "sigma_max": (),
    }
    paper = "arXiv:2206.00364"
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, cfg_pp: bool = False) -> None:
        super().__init__(grid, prediction)
        self.apart = flag("cfg_pp", cfg_pp)
        sigma = grid.tensor("sigma")
        sigma_down, sigma_up = ancestral(sigma[:-1], sigma[1:])
        self.down, self.up = floats(sigma_down - sigma[:-1]), floats(sigma_up)
        self.sigma_down = floats(sigma_down)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        p, sigma = denoise(x, i), float(self.grid.sigma[i])
        down = renoised_apart(p, 1.0, self.sigma_down[i]) if self.apart else euler(x, p.x0, sigma, self.down[i])
        return down + self.up[i] * noise(), state
