"""DPM-Solver and DPM-Solver++, multistep."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, State, X
from samplegraph.schedulers.errors import flag
from samplegraph.schedulers.grids.options import COMMON_BETAS, SIGMA_DEFAULTS
from samplegraph.schedulers.grids.solver_grid import FLOW_SIGMA_DEFAULTS, solver_grid
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.dpm_rule import DPM_ALIASES, DPMRule, MultistepDPM


class DPMMultistep(MultistepDPM):
    """Exponential multistep integrators in lambda = log(alpha/sigma): DPM-Solver (arXiv:2206.00927) on eps,
    DPM-Solver++ (arXiv:2211.01095, Algorithm 2) on x0, and their SDE forms (there, section 5).

    1 NFE per step; 1 noise per step for ``sde-``. Order ``solver_order`` after a warm-up by the lower orders, but
    3 converges with order 2 and, for ``sde-dpmsolver++``, with order 1, as in diffusers, whose second difference
    lacks a factor 2 and, there, has a wrong sign. ``solver_order=1`` is DDIM, with eta = 1 for ``sde-dpmsolver++``.

    Args:
        solver_order: 1, 2 or 3.
        algorithm_type: ``dpmsolver++``, ``sde-dpmsolver++``, ``dpmsolver`` or ``sde-dpmsolver``; the last two need
            ``final_sigmas_type="sigma_min"``.
        solver_type: ``midpoint`` or ``heun``, how the second order weighs the difference of two outputs.
        lower_order_final: descend to order 2 and 1 in the last two steps of fewer than 15.
        euler_at_final: take the last step with order 1.
        corrected: weigh the second difference as the papers do: ``solver_order=3`` then has order 3, and 2 for
            ``sde-dpmsolver++``.
        cfg_pp: CFG++ (arXiv:2406.08070), ComfyUI's ``dpmpp_2m_cfg_pp``: ``solver_order`` 1 or 2 on x0, midpoint.
    """

    diffusers_class = "DPMSolverMultistepScheduler"
    k_diffusion = "sample_dpmpp_2m"
    diffusers_values = {
        "beta_schedule": COMMON_BETAS,
        "respacing": ("karras", "exponential", "beta", "lu"),
    }
    diffusers_aliases = DPM_ALIASES
    paper = "arXiv:2211.01095"
    grid_defaults = {
        **SIGMA_DEFAULTS,
        "final_sigmas_type": "zero",
        "lambda_min_clipped": float("-inf"),
        **FLOW_SIGMA_DEFAULTS,
    }
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}
    build_grid = staticmethod(solver_grid)

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
        corrected: bool = False,
        cfg_pp: bool = False,
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
            corrected=corrected,
        )
        self.order = self.rule.order
        if not self.rule.on_x0:
            prediction.refuse_flow_on_eps(f"algorithm_type={algorithm_type!r}")
        self.apart = flag("cfg_pp", cfg_pp)
        if self.apart:
            self.rule.refuse_beside_cfg_pp(algorithm_type, solver_type)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        if self.apart:
            return self.rule.step_apart(i, denoise(x, i), state)
        return super().step(i, x, state, denoise, noise)
