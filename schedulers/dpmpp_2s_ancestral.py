"""DPM-Solver++(2S) with ancestral noise."""

from __future__ import annotations

from math import sqrt

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag, in_range
from samplegraph.schedulers.grids.midpoint_grid import with_sigmas
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.ancestral import ancestral


class DPMPP2SAncestral(Scheduler):
    """Ancestral sampling with second-order singlestep DPM-Solver++, k-diffusion's ``sample_dpmpp_2s_ancestral``.

    Lu et al. 2022 (arXiv:2211.01095), Algorithm 1 with r = 1/2, down to ``sigma_down``, then noise up to the next
    sigma. 2 NFE and 1 noise per step; where it ends at sigma = 0, 1 NFE and none: 2N - 1 and N - 1 in all. Order 2 in
    the deviation of the marginal law. The middles of the steps, in log sigma, are grid points N, N + 1, ...

    Args:
        eta: share of the ancestral noise, 0 to 1; 0 is the ODE and draws none.
        s_noise: factor of the noise.
        cfg_pp: CFG++ (arXiv:2406.08070), ComfyUI's ``dpmpp_2s_ancestral_cfg_pp``: each step begins with the guided x0
            in place of the unconditional one.
    """

    k_diffusion = "sample_dpmpp_2s_ancestral"
    paper = "arXiv:2211.01095"
    order = 2
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        eta: float = 1.0,
        s_noise: float = 1.0,
        cfg_pp: bool = False,
    ) -> None:
        self.apart = flag("cfg_pp", cfg_pp)
        self.eta, self.s_noise = in_range("eta", eta, 0.0, 1.0), in_range("s_noise", s_noise, 0.0, 100.0)
        sigma = grid.tensor("sigma")
        down, up = ancestral(sigma[:-1], sigma[1:], self.eta)
        self.down, self.up = floats(down), floats(up)
        halved = down > 0  # false at the end, and where rounding leaves no way but the noise
        self.middle = (grid.steps - 1 + halved.cumsum(dim=0)).tolist()
        super().__init__(with_sigmas(grid, (sigma[:-1] * down)[halved].sqrt()), prediction)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        p, down = denoise(x, i), self.down[i]
        if down == 0:
            x = p.x0
        else:
            half = sqrt(down / sigma)
            start = x + (p.x0 - p.unguided.x0) if self.apart else x
            middle = denoise(half * start + (1 - half) * p.x0, self.middle[i])
            start = x + (p.x0 - middle.unguided.x0) if self.apart else x
            x = half**2 * start + (1 - half**2) * middle.x0
        return (x + (self.up[i] * self.s_noise) * noise() if self.eta and sigma_next > 0 else x), state
