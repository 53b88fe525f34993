"""SEEDS-3."""

from __future__ import annotations

from math import exp, log

import torch

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range
from samplegraph.schedulers.grids.midpoint_grid import with_sigmas
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.step_noise import StepNoise
from samplegraph.schedulers.weights.phi import phi

_FIRST, _SECOND = 1 / 3, 2 / 3


class SEEDS3(Scheduler):
    """Stochastic exponential Runge-Kutta of three stages, Gonzalez et al. 2023 (arXiv:2305.14267), Algorithm 3.

    ComfyUI's ``seeds_3``. Stages at 0, 1/3 and 2/3 of the step in lambda. 3 NFE and, with ``eta``, 3 noises per step,
    those of one path; where a step ends at sigma = 0, 1 NFE and none. Order 3 without noise, else 2. The
    inner points of step i are grid points N + 2i and N + 2i + 1.

    Args:
        eta: 1 for the reverse SDE, 0 for the probability flow ODE.
        s_noise: factor of the noise.
    """

    paper = "arXiv:2305.14267"
    order = 3
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, eta: float = 1.0, s_noise: float = 1.0
    ) -> None:
        self.eta, self.s_noise = in_range("eta", eta, 0.0, 100.0), in_range("s_noise", s_noise, 0.0, 100.0)
        self.order = 2 if self.eta else 3
        sigma, sigma_next = grid.tensor("sigma")[:-1], grid.tensor("sigma")[1:]
        inner = torch.stack([sigma ** (1 - r) * sigma_next**r for r in (_FIRST, _SECOND)], dim=1)
        super().__init__(with_sigmas(grid, inner[sigma_next > 0].flatten()), prediction)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        x0, point = denoise(x, i).x0, self.steps + 2 * i
        if sigma_next == 0:
            return x0, state
        h = log(sigma / sigma_next)
        path = StepNoise(noise, self.eta * h, self.s_noise)

        def stage(r: float, other: X | None, at: float, sigma_there: float) -> X:
            """The sample at fraction ``r``, from x0 and another stage's, at fraction ``at``, drawn in a line."""
            z = r * (1 + self.eta) * h
            value = exp(-z) * x + (z * phi(1, -z)) * x0
            if other is not None:
                value = value + (z * phi(2, -z) * r / at) * (other - x0)
            return path.added(value, sigma_there, r)

        second = denoise(stage(_FIRST, None, 1.0, float(self.grid.sigma[point])), point).x0
        third = denoise(stage(_SECOND, second, _FIRST, float(self.grid.sigma[point + 1])), point + 1).x0
        return stage(1.0, third, _SECOND, sigma_next), state
