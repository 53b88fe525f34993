"""DPM-Solver++ for preconditioned networks."""

from __future__ import annotations

from samplegraph.schedulers.base import Grid, GridOptions, PredictionOptions
from samplegraph.schedulers.errors import one_of
from samplegraph.schedulers.grids.edm_grid import EDM_DEFAULTS, edm_grid
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.dpm_rule import DPM_ALIASES, DPMRule, MultistepDPM


class EDMDPM(MultistepDPM):
    """DPM-Solver++, Lu et al. 2022 (arXiv:2211.01095), Algorithm 2, for a network in the preconditioning of Karras et
    al. 2022 (arXiv:2206.00364), Table 1: ``dpm_multistep`` where alpha = 1.

    1 NFE per step; 1 noise per step for ``sde-dpmsolver++``. Order ``solver_order`` after a warm-up by the lower
    orders, but 3 converges with order 2. ``prediction_type`` is the sign of the network's output: ``epsilon`` adds it,
    ``v_prediction`` takes it away.

    Args:
        solver_order: 1, 2 or, without noise, 3.
        algorithm_type: ``dpmsolver++`` or ``sde-dpmsolver++``.
        solver_type: ``midpoint`` or ``heun``, how the second order weighs the difference of two outputs.
        lower_order_final: descend to order 2 and 1 in the last two steps of fewer than 15.
        euler_at_final: take the last step with order 1.
    """

    diffusers_class = "EDMDPMSolverMultistepScheduler"
    diffusers_values = {"prediction_type": ("epsilon", "v_prediction")}
    diffusers_aliases = DPM_ALIASES
    k_diffusion = "sample_dpmpp_2m"
    paper = "arXiv:2211.01095"
    grid_defaults = EDM_DEFAULTS
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}

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
        super().__init__(grid, prediction)
        one_of("algorithm_type", algorithm_type, ("dpmsolver++", "sde-dpmsolver++"))
        self.rule = DPMRule(
            grid,
            solver_order=solver_order,
            algorithm_type=algorithm_type,
            solver_type=solver_type,
            lower_order_final=lower_order_final,
            euler_at_final=euler_at_final,
        )
        if self.rule.stochastic:
            self.rule.refuse_third(f"algorithm_type={algorithm_type!r} of edm_dpm")
        self.order = self.rule.order

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        return edm_grid(steps, options, double_ramp=False)
