"""Stochastic DPM-Solver++ for networks of a cosine schedule."""

from __future__ import annotations

import math

from samplegraph.schedulers.base import Grid, GridOptions, PredictionOptions
from samplegraph.schedulers.grids.edm_grid import EDM_DEFAULTS, edm_sigmas, preconditioned_grid
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.steps.dpm_rule import DPMRule, MultistepDPM


class CosineDPM(MultistepDPM):
    """SDE-DPM-Solver++, Lu et al. 2022 (arXiv:2211.01095), section 5, for the preconditioned networks of Stable Audio
    (arXiv:2407.14358): told ``atan(sigma) / (pi/2)``, as a cosine schedule counts time.

    1 NFE and 1 noise per step (also in the last, where its coefficient is 0). Order ``solver_order`` after one step of
    order 1. The noise of a step is the increment of a Brownian motion between its sigmas in units of its deviation:
    diffusers draws that from a tree seeded by itself, here it is an input. ``prediction_type`` is the sign of the
    network's output: ``v_prediction`` takes it away, ``epsilon`` adds it.

    Args:
        solver_order: 1 or 2.
        solver_type: ``midpoint`` or ``heun``, how the second order weighs the difference of two outputs.
        lower_order_final: take the last of fewer than 15 steps with order 1.
        euler_at_final: take the last step with order 1.
    """

    default_prediction_type = "v_prediction"
    diffusers_class = "CosineDPMSolverMultistepScheduler"
    diffusers_values = {"prediction_type": ("epsilon", "v_prediction")}
    diffusers_aliases = {"solver_type": {"logrho": "midpoint", "bh1": "midpoint", "bh2": "midpoint"}}
    k_diffusion = "sample_dpmpp_2m_sde"
    paper = "arXiv:2211.01095"
    grid_defaults = {
        **EDM_DEFAULTS,
        "sigma_min": 0.3,
        "sigma_max": 500.0,
        "sigma_data": 1.0,
        "sigma_schedule": "exponential",
    }

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        solver_order: int = 2,
        solver_type: str = "midpoint",
        lower_order_final: bool = True,
        euler_at_final: bool = False,
    ) -> None:
        super().__init__(grid, prediction)
        self.rule = DPMRule(
            grid,
            solver_order=solver_order,
            algorithm_type="sde-dpmsolver++",
            solver_type=solver_type,
            lower_order_final=lower_order_final,
            euler_at_final=euler_at_final,
        )
        self.rule.refuse_third("cosine_dpm")
        self.order = self.rule.order

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        sigma = edm_sigmas(steps, options, double_ramp=False)
        return preconditioned_grid(sigma, widened(sigma[:-1].atan() / math.pi * 2), options)
