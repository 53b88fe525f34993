"""SEEDS-2."""

from __future__ import annotations

from math import exp, log

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, in_range, one_of
from samplegraph.schedulers.grids.midpoint_grid import with_sigmas
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.step_noise import StepNoise
from samplegraph.schedulers.weights.phi import phi


class SEEDS2(Scheduler):
    """Stochastic exponential Runge-Kutta of two stages, Gonzalez et al. 2023 (arXiv:2305.14267), Algorithm 2.

    ComfyUI's ``seeds_2``. 2 NFE and, with ``eta``, 2 noises per step, those of one path; where a step ends at
    sigma = 0, 1 NFE and none. Order 2; without noise ``r=0.5`` with ``phi_1`` is ``dpmpp_2s_ancestral`` with
    ``eta=0``. The inner points of the steps are grid points N, N + 1, ...

    Args:
        eta: 1 for the reverse SDE, 0 for the probability flow ODE.
        s_noise: factor of the noise.
        r: where in the step, in lambda, the second stage lies; above 0, at most 1.
        solver_type: ``phi_1`` blends the stages as the midpoint rule does, ``phi_2`` as an exponential quadrature.
    """

    paper = "arXiv:2305.14267"
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
        r: float = 0.5,
        solver_type: str = "phi_1",
    ) -> None:
        self.eta, self.s_noise = in_range("eta", eta, 0.0, 100.0), in_range("s_noise", s_noise, 0.0, 100.0)
        self.r = in_range("r", r, 0.0, 1.0)
        if not self.r:
            raise OptionError(f"r={r!r} leaves no second stage; give a number above 0, at most 1")
        self.blended = one_of("solver_type", solver_type, ("phi_1", "phi_2")) == "phi_1"
        sigma, sigma_next = grid.tensor("sigma")[:-1], grid.tensor("sigma")[1:]
        inner = sigma ** (1 - self.r) * sigma_next**self.r
        super().__init__(with_sigmas(grid, inner[sigma_next > 0]), prediction)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        x0, r = denoise(x, i).x0, self.r
        if sigma_next == 0:
            return x0, state
        h = log(sigma / sigma_next)
        z, path = (1 + self.eta) * h, StepNoise(noise, self.eta * h, self.s_noise)
        inner = exp(-r * z) * x + (r * z * phi(1, -r * z)) * x0
        inner = path.added(inner, float(self.grid.sigma[self.steps + i]), r)
        second = denoise(inner, self.steps + i).x0
        weight = phi(1, -z) / (2 * r) if self.blended else phi(2, -z) / r
        x = exp(-z) * x + z * (phi(1, -z) - weight) * x0 + (z * weight) * second
        return path.added(x, sigma_next, 1.0), state
