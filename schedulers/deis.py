"""DEIS."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag, whole
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS, SIGMA_VALUES
from samplegraph.schedulers.grids.solver_grid import FLOW_SIGMA_DEFAULTS, solver_grid
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS
from samplegraph.schedulers.weights.exponential import exponential_weights
from samplegraph.schedulers.weights.log_rho import log_rho_weights


class DEIS(Scheduler):
    """Diffusion exponential integrator sampler, Zhang and Chen 2022 (arXiv:2204.13902), section 3.3, log-rho multistep.

    eps is interpolated by a polynomial in log(sigma/alpha) through the latest outputs and integrated exactly. 1 NFE
    per step, no noise. Order ``solver_order``, after a warm-up by the lower orders. ``solver_order=1`` is DDIM.

    Args:
        solver_order: 1, 2 or 3.
        lower_order_final: descend to order 2 and 1 in the last two steps of fewer than 15.
    """

    diffusers_class = "DEISMultistepScheduler"
    diffusers_aliases = {
        "algorithm_type": {"dpmsolver": "deis"},
        "solver_type": {"heun": "logrho", "bh1": "logrho"},
    }
    diffusers_values = SIGMA_VALUES
    paper = "arXiv:2204.13902"
    grid_defaults = {**SIGMA_DEFAULTS, **FLOW_SIGMA_DEFAULTS}
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, solver_order: int = 2, lower_order_final: bool = True
    ) -> None:
        super().__init__(grid, prediction)
        self.solver_order = self.order = whole("solver_order", solver_order, 1, 3)
        few = flag("lower_order_final", lower_order_final) and self.steps < 15
        self.final_orders = {self.steps - 1: 1, self.steps - 2: 2} if few else {}
        over_schedule = prediction.prediction_type == "flow_prediction" and grid.family == "vp"
        self.level = grid.sigma / grid.alpha if over_schedule else grid.sigma  # as diffusers reads a flow there
        self.first = exponential_weights(grid, on_x0=False, stochastic=False)
        self.weights = {order: log_rho_weights(grid, order) for order in (2, 3)}

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        return solver_grid(steps, replace(options, final_sigmas_type="sigma_min"), round_cosine=True, repeat_last=True)

    def init(self, x: X) -> State[X]:
        """The ``solver_order - 1`` latest eps, newest first."""
        return (x * 0.0,) * (self.solver_order - 1)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        alpha, _, alpha_next, _ = self.pair(i)
        eps = (x - alpha * denoise(x, i).x0) / float(self.level[i])
        history, order = (eps, *state), min(self.solver_order, self.taken(i) + 1, self.final_orders.get(i, 3))
        if order == 1:
            x = self.first.keep[i] * x + self.first.first[i] * eps
        else:
            x = x / alpha
            for weights, m in zip(self.weights[order], history, strict=False):
                x = x + weights[i] * m
            x = alpha_next * x
        return x, history[: self.solver_order - 1]
