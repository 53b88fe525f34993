"""Trajectory consistency distillation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range
from samplegraph.schedulers.grids.distilled_grid import DISTILLED_DEFAULTS, IGNORED, distilled_timesteps
from samplegraph.schedulers.grids.options import COMMON_BETAS
from samplegraph.schedulers.grids.timestep_grid import levels, vp_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.first_order import along_the_pair, renoised


class TCD(Scheduler):
    """Strategic stochastic sampling of trajectory consistency models, Zheng et al. 2024 (arXiv:2402.19159),
    Algorithm 4: a DDIM step to s = (1 - eta) t', then noise up to t'.

    1 NFE per step; for eta > 0, 1 noise in each step but the last. Order 1. ``eta=0`` is DDIM, ``eta=1`` sends x0 to
    the noise of the next timestep as LCM does. The last step ends at timestep 0, where a little noise is left.

    Args:
        eta: share of each step that is noise put back, in [0, 1]; the paper's gamma.
    """

    diffusers_class = "TCDScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS}
    diffusers_arguments = {"original_inference_steps": "full_range_steps"}
    diffusers_ignored = (
        *IGNORED,
        "clip_sample",
        "clip_sample_range",
        "dynamic_thresholding_ratio",
        "sample_max_value",
        "thresholding",
        "timestep_scaling",
    )
    paper = "arXiv:2402.19159"
    grid_defaults = {**DISTILLED_DEFAULTS, "full_range_steps": None}

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, eta: float = 0.3) -> None:
        super().__init__(grid, prediction)
        self.eta = in_range("eta", eta, 0.0, 1.0)
        visited = torch.from_numpy(np.append(grid.timesteps[1:], 0.0))
        low = torch.floor((1 - self.eta) * visited.to(grid.dtype)).long()
        there = torch.from_numpy(grid.own["abar_train"])
        abar_low, abar_next = there[low], there[visited.long()]
        self.alpha_low, self.sigma_low = floats(abar_low**0.5), floats((1 - abar_low) ** 0.5)
        self.keep, self.add = floats((abar_next / abar_low) ** 0.5), floats((1 - abar_next / abar_low) ** 0.5)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        t = distilled_timesteps(steps, options)
        grid = vp_grid(options, t, np.append(t[1:], 0.0), alpha_to_one=True)
        every = np.arange(options.schedule.num_train_timesteps, dtype=np.float64)
        return replace(grid, own={"abar_train": levels(options, every, alpha_to_one=True).numpy()})

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        x = along_the_pair(denoise(x, i), self.alpha_low[i], self.sigma_low[i])
        if self.eta == 0 or i + 1 == self.steps:
            return x, state
        return renoised(x, noise(), self.keep[i], self.add[i]), state
