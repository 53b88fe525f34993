"""DPM-Solver run backwards, from an image to its noise."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Grid, PredictionOptions
from samplegraph.schedulers.grids.inverse_grid import inverse_dpm_grid
from samplegraph.schedulers.grids.options import COMMON_BETAS, COMMON_RESPACINGS, SIGMA_DEFAULTS
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.dpm_rule import DPM_ALIASES, DPMRule, MultistepDPM


class DPMMultistepInverse(MultistepDPM):
    """DPM-Solver++ inversion: ``dpm_multistep`` over ascending sigmas, as Edict and LEDITS++ start
    (arXiv:2211.01095, Algorithm 2 in the direction of the noise).

    ``init_sample`` is the image, the output its noise. 1 NFE per step; 1 noise per step for ``sde-``, where
    ascending sigmas give NaN (see below). Order ``solver_order`` after a warm-up by the lower orders. A step asks the
    model where it starts, at a little noise. As in diffusers, equal timesteps are visited once, while sigmas go on, and
    with ``use_flow_sigmas`` sigmas descend, so that ``sde-`` is finite.

    Args:
        solver_order: 1, 2 or 3.
        algorithm_type: ``dpmsolver++``, ``sde-dpmsolver++``, ``dpmsolver`` or ``sde-dpmsolver``.
        solver_type: ``midpoint`` or ``heun``, how the second order weighs the difference of two outputs.
        lower_order_final: descend to order 2 and 1 in the last two steps of fewer than 15.
        euler_at_final: take the last step with order 1.
    """

    inverts = True
    no_start = "it runs from the image to its noise, all the way; leave it out, and run dpm_multistep from there"
    diffusers_class = "DPMSolverMultistepInverseScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS, "respacing": COMMON_RESPACINGS}
    diffusers_aliases = DPM_ALIASES
    paper = "arXiv:2211.01095"
    grid_defaults = {
        **{k: v for k, v in SIGMA_DEFAULTS.items() if k not in ("sigmas", "timesteps", "rescale_betas_zero_snr")},
        "lambda_min_clipped": float("-inf"),
        "use_flow_sigmas": False,
        "flow_shift": 1.0,
    }
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}
    build_grid = staticmethod(inverse_dpm_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        solver_order: int = 2,
        algorithm_type: str = "dpmsolver++",
        solver_type: str = "midpoint",
        lower_order_final: bool = True,
        euler_at_final: bool = False,
    ) -> None:
        through_eps = prediction.thresholding and not algorithm_type.endswith("++")
        super().__init__(grid, replace(prediction, x0_through_eps=through_eps))
        self.rule = DPMRule(
            grid,
            solver_order=solver_order,
            algorithm_type=algorithm_type,
            solver_type=solver_type,
            lower_order_final=lower_order_final,
            euler_at_final=euler_at_final,
        )
        self.order = self.rule.order
        if self.rule.stochastic:
            self.rule.refuse_third(f"algorithm_type={algorithm_type!r} of dpm_multistep_inverse")
        if not self.rule.on_x0:
            prediction.refuse_flow_on_eps(f"algorithm_type={algorithm_type!r}")
