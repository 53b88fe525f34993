"""DPM-Solver++ as a stochastic singlestep method."""

from __future__ import annotations

from math import inf

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range
from samplegraph.schedulers.grids.midpoint_grid import with_points
from samplegraph.schedulers.grids.options import COMMON_BETAS, COMMON_RESPACINGS, LATENT_SIGMA_DEFAULTS
from samplegraph.schedulers.grids.respacing import sigma_to_t
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.grids.sigmas import training_sigmas
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.ancestral import ancestral
from samplegraph.schedulers.steps.first_order import euler


class DPMSDE(Scheduler):
    """Stochastic DPM-Solver++ of second order, k-diffusion's ``sample_dpmpp_sde`` (after arXiv:2206.00927, Algorithm 1
    with r = 1/2): an ancestral step to the geometric mean of two sigmas, then one over the whole with x0 from there.

    2 NFE and 2 noises per step, 1 NFE and none in the last: 2N - 1 and 2N - 2. Order 2. Both noises of a step come from
    one Brownian motion: the first is its increment to the middle, the whole step's is made of that and the second
    one's. diffusers draws the motion from a tree seeded by itself; here its increments are the input.

    Args:
        s_noise: deviation of the noise that is added.
    """

    order = 2
    diffusers_class = "DPMSolverSDEScheduler"
    diffusers_values = {
        "beta_schedule": COMMON_BETAS,
        "prediction_type": ("epsilon", "v_prediction"),
        "respacing": COMMON_RESPACINGS,
        "rescale_betas_zero_snr": (False,),
        "sigma_min": (),
        "sigma_max": (),
    }
    diffusers_ignored = ("noise_sampler_seed",)
    k_diffusion = "sample_dpmpp_sde"
    paper = "arXiv:2206.00927"
    grid_defaults = LATENT_SIGMA_DEFAULTS

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, s_noise: float = 1.0) -> None:
        super().__init__(grid, prediction)
        self.s_noise = in_range("s_noise", s_noise, 0.0, inf)
        n, sigma = grid.steps, grid.tensor("sigma")
        here, there, middle = sigma[: n - 1], sigma[1:n], sigma[n:-1]
        self.halves, self.wholes = _move(here, middle), _move(here, there)
        span = (here - there).clamp(min=torch.finfo(here.dtype).tiny)
        self.early = floats(((here - middle) / span) ** 0.5)
        self.late = floats(((middle - there) / span) ** 0.5)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        base = k_diffusion_grid(steps, options)
        at = base.tensor("sigma")[:-1].log()
        middle = (at[:-1] + 0.5 * (at[1:] - at[:-1])).exp()
        return with_points(base, middle, sigma_to_t(middle.numpy(), np.log(training_sigmas(options))))

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        if i + 1 == self.steps:
            sigma = float(self.grid.sigma[i])
            return euler(x, denoise(x, i).x0, sigma, float(self.grid.sigma[-1]) - sigma), state
        first = noise()
        keep, gain, up = (row[i] for row in self.halves)
        ahead = keep * x + gain * denoise(x, i).x0 + (up * self.s_noise) * first
        keep, gain, up = (row[i] for row in self.wholes)
        whole = self.early[i] * first + self.late[i] * noise()
        return keep * x + gain * denoise(ahead, self.steps + i).x0 + (up * self.s_noise) * whole, state


def _move(sigma: torch.Tensor, sigma_next: torch.Tensor) -> tuple[list[float], list[float], list[float]]:
    """Weights of x, x0 and noise in an ancestral step."""
    down, up = ancestral(sigma, sigma_next)
    return floats(down / sigma), floats(-((down / sigma).log().expm1())), floats(torch.minimum(sigma_next, up))
