"""DPM-Solver-2 of Karras et al. with ancestral noise."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.grids.midpoint_grid import with_middles
from samplegraph.schedulers.grids.options import LATENT_SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.kdpm2 import KDPM2_VALUES, midpoint_slope
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.ancestral import ancestral


class KDPM2Ancestral(Scheduler):
    """Ancestral sampling with midpoint steps, k-diffusion's ``sample_dpm_2_ancestral``.

    Each step goes down to ``sigma_down`` by the rule of ``kdpm2`` and adds noise up to the next sigma. 2 NFE and 1
    noise per step, in the last, Euler's, 1 NFE and none: 2N - 1 and N - 1 in all. Order 2 in the deviation of
    the marginal law. The midpoints between sigma and ``sigma_down`` are grid points N to 2N - 2.
    """

    diffusers_class = "KDPM2AncestralDiscreteScheduler"
    k_diffusion = "sample_dpm_2_ancestral"
    diffusers_values = KDPM2_VALUES
    paper = "arXiv:2206.00927"
    order = 2
    grid_defaults = LATENT_SIGMA_DEFAULTS

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        sigma, sigma_next = (grid.tensor(name)[: grid.steps] for name in ("sigma", "sigma_next"))
        self.down, self.up = (floats(table) for table in ancestral(sigma, sigma_next))

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        base = k_diffusion_grid(steps, options)
        sigma = base.tensor("sigma")[:-1]
        down, _ = ancestral(sigma[:-1], sigma[1:])
        return with_middles(base, options, sigma[:-1].log().lerp(down.log(), 0.5).exp())

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        slope = midpoint_slope(self.grid, i, x, denoise)
        if i + 1 == self.steps:
            return x + (sigma_next - sigma) * slope, state
        return x + (self.down[i] - sigma) * slope + self.up[i] * noise(), state
