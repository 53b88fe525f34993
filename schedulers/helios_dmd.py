"""Helios, distilled by distribution matching."""

from __future__ import annotations

import numpy as np

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.helios_grid import HELIOS_DEFAULTS, helios_grid, on_path
from samplegraph.schedulers.steps.first_order import renoised


class HeliosDMD(Scheduler):
    """The sampler of the distilled Helios models: x0 meets the noise that the run began with, Yin et al. 2024
    (arXiv:2405.14867) with ``z`` kept.

    1 NFE per step, no further noise. Order 1, but the steps solve no equation: the model was trained to give x0 at
    once. The grid is ``helios``'s of one step more, without its last sigma before 0. What diffusers calls an
    amplified first chunk is twice as many steps. As there sigmas are looked up by the whole part of the timestep.
    """

    default_prediction_type = "flow_prediction"
    reworks_tables = True
    diffusers_class = "HeliosDMDScheduler"
    diffusers_ignored = ("use_flow_sigmas",)
    paper = "arXiv:2405.14867"
    grid_defaults = {**HELIOS_DEFAULTS, "time_shift_type": "linear"}
    no_start = "its steps put back the noise that the run began with"

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        longer = helios_grid(steps + 1, options)
        told = longer.timesteps[:-1]
        nearest = [int(np.abs(told - np.trunc(t)).argmin()) for t in told]
        sigma = longer.tensor("sigma")[[*nearest, -1]]
        return on_path(sigma, told, options.schedule.num_train_timesteps)

    def init(self, x: X) -> State[X]:
        """The sample at the start of the run."""
        return (x * 0.0,)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        start = state[0] if self.taken(i) else x
        return renoised(denoise(x, i).x0, start, alpha_next, sigma_next), (start,)
