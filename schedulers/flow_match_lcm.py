"""Consistency sampling on a straight path."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.grids.flow_grid import FLOW_DEFAULTS, flow_grid
from samplegraph.schedulers.grids.options import COMMON_RESPACINGS
from samplegraph.schedulers.steps.first_order import renoised


class FlowMatchLCM(Scheduler):
    """Multistep consistency sampling, Song et al. 2023 (arXiv:2303.01469), Algorithm 1, on the flow-matching path: each
    step predicts x0 and puts fresh noise on it.

    1 NFE and 1 noise per step (also in the last, where its coefficient is 0). For a distilled model; a solver of no
    order for another. ``flow_match_euler`` with ``stochastic_sampling``. Samples keep their size: diffusers'
    ``scale_factors``, which upscale between steps, are refused.
    """

    default_prediction_type = "flow_prediction"
    reworks_tables = True
    diffusers_class = "FlowMatchLCMScheduler"
    diffusers_values = {"respacing": COMMON_RESPACINGS}
    diffusers_ignored = ("upscale_mode",)
    paper = "arXiv:2303.01469"
    grid_defaults = FLOW_DEFAULTS
    build_grid = staticmethod(flow_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        self.inverted = bool(grid.preconditioned)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        p = denoise(x, i)
        if self.inverted:  # diffusers takes the inverted sigma for the sigma of the noise
            return renoised(p.eps, noise(), sigma_next, alpha_next), state
        return renoised(p.x0, noise(), alpha_next, sigma_next), state
