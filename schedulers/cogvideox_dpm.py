"""Stochastic DPM-Solver++ as CogVideoX runs it."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.grids.cogvideox_grid import COGVIDEOX_DEFAULTS, IGNORED, cogvideox_grid
from samplegraph.schedulers.grids.options import COMMON_BETAS
from samplegraph.schedulers.precision import floats


class CogVideoXDPM(Scheduler):
    """SDE-DPM-Solver++ 2M (arXiv:2211.01095, section 5) over CogVideoX's shifted noise schedule (arXiv:2408.06072).

    1 NFE per step; 2 noises per step, 1 in the first and in the last: as in diffusers the first of two is drawn and
    left. Order 2. A step leads to ``t - T // N`` whatever timestep comes next.
    """

    order = 2
    diffusers_class = "CogVideoXDPMScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS}
    diffusers_ignored = IGNORED
    paper = "arXiv:2408.06072"
    grid_defaults = COGVIDEOX_DEFAULTS
    build_grid = staticmethod(cogvideox_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        abar, abar_next = grid.tensor("abar"), grid.tensor("abar_next")
        lam, lam_next = (((a / (1 - a)) ** 0.5).log() for a in (abar, abar_next))
        h = lam_next - lam
        self.keep = floats(((1 - abar_next) / (1 - abar)) ** 0.5 * (-h).exp())
        self.gain = floats((-2 * h).expm1() * abar_next**0.5)
        self.std = floats((1 - abar_next) ** 0.5 * (1 - (-2 * h).exp()) ** 0.5)
        ratio = (lam - lam.roll(1)) / h
        self.ahead, self.back = floats(1 + 1 / (2 * ratio)), floats(1 / (2 * ratio))
        stride = grid.timesteps - float(grid.own["stride"][0])
        self.single = [bool(t < 0) for t in stride]

    def init(self, x: X) -> State[X]:
        """The x0 of the step before."""
        return (x * 0.0,)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        x0, z = denoise(x, i).x0, noise()
        m = x0
        if self.taken(i) > 0 and not self.single[i]:
            m, z = self.ahead[i] * x0 - self.back[i] * state[0], noise()
        return self.keep[i] * x - self.gain[i] * m + self.std[i] * z, (x0,)
