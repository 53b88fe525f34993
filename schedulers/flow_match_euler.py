"""Euler's method on a straight path."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag
from samplegraph.schedulers.grids.flow_grid import FLOW_DEFAULTS, flow_grid
from samplegraph.schedulers.grids.options import COMMON_RESPACINGS
from samplegraph.schedulers.steps.first_order import along_the_pair, renoised


class FlowMatchEuler(Scheduler):
    """Euler's method on the flow-matching path, Lipman et al. 2022 (arXiv:2210.02747), with the shifts of
    Stable Diffusion 3 (arXiv:2403.03206), Flux, LTX-Video and Mochi.

    1 NFE per step; 1 noise per step with ``stochastic_sampling``. Order 1. The formula of DDIM with eta = 0.

    Args:
        stochastic_sampling: put fresh noise on x0 in each step, in place of the predicted one.
    """

    default_prediction_type = "flow_prediction"
    reworks_tables = True
    diffusers_class = "FlowMatchEulerDiscreteScheduler"
    diffusers_values = {"respacing": COMMON_RESPACINGS}
    paper = "arXiv:2210.02747"
    grid_defaults = FLOW_DEFAULTS
    build_grid = staticmethod(flow_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, stochastic_sampling: bool = False) -> None:
        super().__init__(grid, prediction)
        self.stochastic = flag("stochastic_sampling", stochastic_sampling)
        self.inverted = bool(grid.preconditioned)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        p = denoise(x, i)
        if not self.stochastic:
            return along_the_pair(p, alpha_next, sigma_next), state
        if self.inverted:  # diffusers takes the inverted sigma for the sigma of the noise
            return renoised(p.eps, noise(), sigma_next, alpha_next), state
        return renoised(p.x0, noise(), alpha_next, sigma_next), state
