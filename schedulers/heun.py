"""Heun's method."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.options import COMMON_BETAS, COMMON_RESPACINGS, LATENT_SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.prediction import CLIP_DEFAULTS
from samplegraph.schedulers.steps.first_order import slope


class Heun(Scheduler):
    """Heun's second-order method on dx/dsigma = eps, Karras et al. 2022 (arXiv:2206.00364), Algorithm 2
    without churn.

    2 NFE per step and 1 in the last, which has no successor: 2N - 1 in all. No noise. Order 2. Without the
    correction it is Euler. Where x0 is clipped, the slope follows from the clipped x0.
    """

    diffusers_class = "HeunDiscreteScheduler"
    k_diffusion = "sample_heun"
    diffusers_values = {
        "beta_schedule": (*COMMON_BETAS, "exp"),
        "respacing": COMMON_RESPACINGS,
        "rescale_betas_zero_snr": (False,),
    }
    paper = "arXiv:2206.00364"
    order = 2
    grid_defaults = LATENT_SIGMA_DEFAULTS
    prediction_defaults = {"prediction_type": None, **CLIP_DEFAULTS, "clip_sample": False}
    build_grid = staticmethod(k_diffusion_grid)

    def slope(self, i: int, x: X, denoise: Denoise[X]) -> X:
        """dx/dsigma at point ``i``."""
        return slope(x, denoise(x, i).x0, float(self.grid.sigma[i]))

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        slope = self.slope(i, x, denoise)
        ahead = x + (sigma_next - sigma) * slope
        if i + 1 == self.steps:
            return ahead, state
        return x + (sigma_next - sigma) * (slope + self.slope(i + 1, ahead, denoise)) / 2.0, state
