"""Latent consistency models."""

from __future__ import annotations

from math import inf

import numpy as np

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range
from samplegraph.schedulers.grids.distilled_grid import DISTILLED_DEFAULTS, IGNORED, distilled_timesteps
from samplegraph.schedulers.grids.options import COMMON_BETAS
from samplegraph.schedulers.grids.timestep_grid import vp_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.prediction import CLIP_DEFAULTS, THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.first_order import renoised


class LCM(Scheduler):
    """Multistep latent consistency sampling, Luo et al. 2023 (arXiv:2310.04378), Algorithm 3.

    1 NFE per step; 1 noise in each step but the last. Each step predicts x0, blends it with the sample by the boundary
    scalings of section 4.1, which only matter next to t = 0, and puts fresh noise on it. For a distilled model; a
    solver of no order for another.

    Args:
        timestep_scaling: factor on t in the boundary scalings.
    """

    diffusers_class = "LCMScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS}
    diffusers_ignored = IGNORED
    paper = "arXiv:2310.04378"
    grid_defaults = DISTILLED_DEFAULTS
    prediction_defaults = {"prediction_type": None, **CLIP_DEFAULTS, "clip_sample": False, **THRESHOLD_DEFAULTS}

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, timestep_scaling: float = 10.0) -> None:
        super().__init__(grid, prediction)
        t = grid.tensor("timesteps") * in_range("timestep_scaling", timestep_scaling, 0.0, inf)
        self.skip, self.gain = floats(0.25 / (t**2 + 0.25)), floats(t / (t**2 + 0.25) ** 0.5)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        t = distilled_timesteps(steps, options)
        return vp_grid(options, t, np.append(t[1:], -1.0), alpha_to_one=True)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        clean = self.gain[i] * denoise(x, i).x0 + self.skip[i] * x
        return (clean if i + 1 == self.steps else renoised(clean, noise(), alpha_next, sigma_next)), state
