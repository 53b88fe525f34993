"""Linear multistep method."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import whole
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS, SIGMA_VALUES
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.weights.lms_weights import lms_weights


class LMS(Scheduler):
    """Adams-Bashforth over the sigmas of the run on dx/dsigma = eps, k-diffusion's ``sample_lms``.

    Karras et al. 2022 (arXiv:2206.00364), eq. 1, for the equation. eps is interpolated by a polynomial through the
    latest outputs and integrated over the step. 1 NFE per step, no noise. Order ``order`` with accurate start values;
    ``order=1`` is Euler's method.

    Args:
        order: number of outputs that a step uses, at least 1.
    """

    diffusers_class = "LMSDiscreteScheduler"
    k_diffusion = "sample_lms"
    diffusers_values = SIGMA_VALUES
    paper = "arXiv:2206.00364"
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, order: int = 4) -> None:
        super().__init__(grid, prediction)
        self.order = whole("order", order, 1)
        self.weights = lms_weights(grid, self.order)

    def init(self, x: X) -> State[X]:
        """The ``order - 1`` latest slopes, newest first."""
        return (x * 0.0,) * (self.order - 1)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        slopes = ((x - denoise(x, i).x0) / float(self.grid.sigma[i]), *state)
        change = self.weights[i][0] * slopes[0]
        for weight, slope in zip(self.weights[i][1:], slopes[1:], strict=False):
            change = change + weight * slope
        return x + change, slopes[: self.order - 1]
