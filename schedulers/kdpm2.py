"""DPM-Solver-2 of Karras et al."""

from __future__ import annotations

from collections.abc import Mapping

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.midpoint_grid import with_middles
from samplegraph.schedulers.grids.options import LATENT_SIGMA_DEFAULTS, SIGMA_VALUES
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid

KDPM2_VALUES: Mapping[str, tuple[object, ...]] = {**SIGMA_VALUES, "prediction_type": ("epsilon", "v_prediction")}


class KDPM2(Scheduler):
    """The midpoint rule on dx/dsigma = eps with the midpoint in log sigma, k-diffusion's ``sample_dpm_2``.

    DPM-Solver-2 (arXiv:2206.00927, Algorithm 1) on the grid of Karras et al. 2022 (arXiv:2206.00364). 2 NFE per step
    and 1 in the last, Euler's: 2N - 1 in all. No noise. Order 2. The midpoints are grid points N to 2N - 2.
    """

    diffusers_class = "KDPM2DiscreteScheduler"
    k_diffusion = "sample_dpm_2"
    diffusers_values = KDPM2_VALUES
    paper = "arXiv:2206.00927"
    order = 2
    grid_defaults = LATENT_SIGMA_DEFAULTS

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        base = k_diffusion_grid(steps, options)
        log = base.tensor("sigma")[:-1].log()
        return with_middles(base, options, log[1:].lerp(log[:-1], 0.5).exp())

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        return x + (sigma_next - sigma) * midpoint_slope(self.grid, i, x, denoise), state


def midpoint_slope(grid: Grid, i: int, x: X, denoise: Denoise[X]) -> X:
    """eps of step ``i`` at its midpoint, point N + i, reached by Euler's method; in the last step at its start."""
    sigma, point = float(grid.sigma[i]), grid.steps + i
    slope = (x - denoise(x, i).x0) / sigma
    if i + 1 == grid.steps:
        return slope
    middle = float(grid.sigma[point])
    x_middle = x + (middle - sigma) * slope
    return (x_middle - denoise(x_middle, point).x0) / middle
