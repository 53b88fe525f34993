"""Euler's method for preconditioned networks."""

from __future__ import annotations

from math import inf

import numpy as np

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.grids.edm_grid import EDM_DEFAULTS, edm_grid
from samplegraph.schedulers.grids.training import EDMSchedule, preconditioner
from samplegraph.schedulers.steps.churn import Churn
from samplegraph.schedulers.steps.first_order import euler


class EDMEuler(Scheduler):
    """Euler's method, Karras et al. 2022 (arXiv:2206.00364), Algorithm 2 with first-order steps, for a network in the
    preconditioning of Table 1.

    1 NFE per step; 1 noise in each step with churn, none by default. Order 1. The formula of ``euler`` over other
    sigmas. ``prediction_type`` is the sign of the network's output: ``epsilon`` adds it, ``v_prediction`` takes it
    away. As in diffusers churn adds its noise after the model has seen the sample.

    Args:
        s_churn: amount of churn, spread over the steps; each raises sigma by at most a factor sqrt(2).
        s_tmin, s_tmax: range of sigmas in which there is churn.
        s_noise: deviation of the noise that churn adds.
    """

    diffusers_class = "EDMEulerScheduler"
    diffusers_values = {"prediction_type": ("epsilon", "v_prediction")}
    diffusers_arguments = {"sigmas": "ramp"}
    k_diffusion = "sample_euler"
    paper = "arXiv:2206.00364"
    grid_defaults = {**EDM_DEFAULTS, "ramp": None}
    build_grid = staticmethod(edm_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = inf,
        s_noise: float = 1.0,
    ) -> None:
        super().__init__(grid, prediction)
        self.churn = Churn(grid, grid.steps, s_churn, s_tmin, s_tmax, s_noise)
        assert isinstance(grid.schedule, EDMSchedule)
        data, sigma = grid.schedule.sigma_data, np.array([grid.sigma[: grid.steps], self.churn.raised])
        self.skip, self.gain = preconditioner(data, np.ones(1), sigma)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        churn, p = self.churn, denoise(x, i)
        if not churn.at(i):
            return euler(x, p.x0, float(self.grid.sigma[i]), churn.change[i]), state
        output = (p.x0 - float(self.skip[0, i]) * x) / float(self.gain[0, i])
        x = churn.moved(i, x, noise)
        x0 = float(self.skip[1, i]) * x + float(self.gain[1, i]) * output
        return euler(x, x0, churn.raised[i], churn.change[i]), state
