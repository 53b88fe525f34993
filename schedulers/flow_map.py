"""Euler steps of a flow map."""

from __future__ import annotations

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.flow_grid import PLAIN_FLOW_DEFAULTS, custom_table, grid_of_sigmas
from samplegraph.schedulers.steps.first_order import along_the_pair


class FlowMap(Scheduler):
    """Steps along the average velocity that a flow-map model predicts (Geng et al. 2025, arXiv:2505.13447, eq. 12).

    1 NFE per step, no noise. Order 1 where the model predicts the velocity at its timestep alone: then it is
    ``flow_match_euler``, over sigmas that are shifted once and end one step before 0. A model that declares a second
    timestep is told there where the step leads, 0 in the last one.
    """

    default_prediction_type = "flow_prediction"
    reworks_tables = True
    mean_velocity = True
    diffusers_class = "FlowMapEulerDiscreteScheduler"
    paper = "arXiv:2505.13447"
    grid_defaults = {**PLAIN_FLOW_DEFAULTS, "timesteps": None, "sigmas": None}

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        total = options.schedule.num_train_timesteps
        if options.sigmas is not None:
            sigmas = custom_table("sigmas", options.sigmas, 1.0)
        elif options.timesteps is not None:
            sigmas = custom_table("timesteps", options.timesteps, float(total)) / total
        else:
            sigmas = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)[:-1].numpy()
        return grid_of_sigmas(torch.from_numpy(np.asarray(options.flow.constant(sigmas))), options)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        return along_the_pair(denoise(x, i), alpha_next, sigma_next), state
