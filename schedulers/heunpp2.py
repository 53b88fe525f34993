"""Heun++."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.first_order import slope


class HeunPP2(Scheduler):
    """Euler's method along a blend of the slopes at this grid point and at up to two to come, ComfyUI's ``heunpp2``.

    Li et al. 2023, "Effective Real Image Editing with Accelerated Iterative Diffusion Inversion"
    (arXiv:2309.04907), Algorithm 1: the slopes ahead weigh ``sigma / (m sigma_0)`` of m slopes, this one the rest.
    3 NFE per step, 2 in the last but one and 1 in the last: 3N - 3 from 2 steps on. No noise. Order 1: far ahead the
    weights tend to those of Euler's method, which is what remains of it in one step.
    """

    paper = "arXiv:2309.04907"
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        sigma = [float(s) for s in self.grid.sigma[: self.steps + 1]]
        stages = min(3, self.steps - i)
        here = along = slope(x, denoise(x, i).x0, sigma[i])
        ahead, blend = x, here
        for j in range(i + 1, i + stages):
            ahead = ahead + (sigma[j] - sigma[j - 1]) * along
            along = slope(ahead, denoise(ahead, j).x0, sigma[j])
            blend = blend + (sigma[j] / (stages * sigma[0])) * (along - here)
        return x + (sigma[i + 1] - sigma[i]) * blend, state
