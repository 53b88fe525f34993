"""The refined exponential solver, multistep."""

from __future__ import annotations

from math import exp, log

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag, in_range
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.ancestral import ancestral
from samplegraph.schedulers.weights.phi import phi


class RESMultistep(Scheduler):
    """Second-order multistep of the refined exponential solver, Zhang et al. 2023 (arXiv:2308.02157), section 3.2.

    ComfyUI's ``res_multistep``, and with ``eta=1`` its ``res_multistep_ancestral``: down to ``sigma_down``, then noise
    up to the next sigma. 1 NFE per step; with ``eta`` 1 noise in every step that does not end at sigma = 0. Order 2;
    without noise it is ``dpm_multistep`` with ``solver_type="heun"`` on a grid with alpha = 1. What lies between two
    outputs is the way down of the step before, the noise put back does not count.

    Args:
        eta: share of the ancestral noise, 0 to 1.
        s_noise: factor of the noise.
        cfg_pp: CFG++ (arXiv:2406.08070), ComfyUI's ``res_multistep_cfg_pp``: the solver integrates the unconditional
            prediction, and each step begins with the guided x0 in its place.
    """

    paper = "arXiv:2308.02157"
    order = 2
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        eta: float = 0.0,
        s_noise: float = 1.0,
        cfg_pp: bool = False,
    ) -> None:
        super().__init__(grid, prediction)
        self.apart = flag("cfg_pp", cfg_pp)
        self.eta, self.s_noise = in_range("eta", eta, 0.0, 1.0), in_range("s_noise", s_noise, 0.0, 100.0)
        sigma = grid.tensor("sigma")
        self.down, self.up = (floats(table) for table in ancestral(sigma[:-1], sigma[1:], self.eta))

    def init(self, x: X) -> State[X]:
        """The x0 of the step before."""
        return (x * 0.0,)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        sigma, down = float(self.grid.sigma[i]), self.down[i]
        p = denoise(x, i)
        x0 = p.unguided.x0 if self.apart else p.x0
        if down == 0:
            return p.x0, (x0,)
        h = log(sigma / down)
        if self.apart:
            x = x + (p.x0 - x0)
        newest = x0 if self.taken(i) else p.x0
        x = exp(-h) * x + h * phi(1, -h) * newest
        if self.taken(i):
            back = log(float(self.grid.sigma[i - 1]) / self.down[i - 1]) / h
            x = x + (h * phi(2, -h) / back) * (x0 - state[0])
        if self.eta:
            x = x + (self.up[i] * self.s_noise) * noise()
        return x, (x0,)
