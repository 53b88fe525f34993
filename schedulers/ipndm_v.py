"""iPNDM with variable steps."""

from __future__ import annotations

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import whole
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.first_order import slope
from samplegraph.schedulers.weights.adams_bashforth import adams_bashforth


class IPNDMV(Scheduler):
    """Adams-Bashforth of order 1 to 4 over steps of any length on dx/dsigma = eps, ComfyUI's ``ipndm_v``.

    Zhang and Chen 2022 (arXiv:2204.13902), section 3.2, with the coefficients of unequal steps. 1 NFE per step, no
    noise. Order ``order`` with accurate start values, 2 without. The coefficients are exact: the polynomial through
    the latest slopes, integrated; ComfyUI's of order 3 and 4 misplace a bracket and are of order 2. Like ``lms``, whose
    integrals are numerical as in diffusers.

    Args:
        order: number of slopes that a step uses, 1 to 4.
    """

    paper = "arXiv:2204.13902"
    order = 4
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, order: int = 4) -> None:
        super().__init__(grid, prediction)
        self.order = whole("order", order, 1, 4)

    def init(self, x: X) -> State[X]:
        """The ``order - 1`` latest slopes, newest first."""
        return (x * 0.0,) * (self.order - 1)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        slopes = (slope(x, denoise(x, i).x0, sigma), *state)
        used = min(self.order, self.taken(i) + 1)
        nodes = [float(self.grid.sigma[i - j]) for j in range(used)]
        for weight, each in zip(adams_bashforth(nodes, sigma, sigma_next), slopes[:used], strict=True):
            x = x + weight * each
        return x, slopes[: self.order - 1]
