"""DDIM as CogVideoX runs it."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.grids.cogvideox_grid import COGVIDEOX_DEFAULTS, IGNORED, cogvideox_grid
from samplegraph.schedulers.grids.options import COMMON_BETAS
from samplegraph.schedulers.precision import floats


class CogVideoXDDIM(Scheduler):
    """DDIM with eta = 0 (arXiv:2010.02502, eq. 12) over CogVideoX's shifted noise schedule (arXiv:2408.06072).

    1 NFE per step, no noise. Order 1. The step is DDIM's, solved for x.
    """

    diffusers_class = "CogVideoXDDIMScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS}
    diffusers_ignored = IGNORED
    paper = "arXiv:2408.06072"
    grid_defaults = COGVIDEOX_DEFAULTS
    build_grid = staticmethod(cogvideox_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        abar, abar_next = grid.tensor("abar"), grid.tensor("abar_next")
        keep = ((1 - abar_next) / (1 - abar)) ** 0.5
        self.keep, self.gain = floats(keep), floats(abar_next**0.5 - abar**0.5 * keep)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        return self.keep[i] * x + self.gain[i] * denoise(x, i).x0, state
