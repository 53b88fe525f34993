"""DPM-Solver++(3M) SDE."""

from __future__ import annotations

from math import exp, expm1, log

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.step_noise import StepNoise
from samplegraph.schedulers.weights.phi import phi


class DPMPP3MSDE(Scheduler):
    """Third-order SDE-DPM-Solver++ with a free amount of noise, k-diffusion's ``sample_dpmpp_3m_sde``.

    Lu et al. 2022 (arXiv:2211.01095), eq. 18, with the next term of the expansion in lambda. 1 NFE per step; for
    ``eta`` above 0, 1 noise in every step that does not end at sigma = 0. The first steps have orders 1 and 2. Order 2:
    k-diffusion's second difference lacks a factor of 2, as diffusers' does.

    Args:
        eta: 1 for the reverse SDE, 0 for the probability flow ODE.
        s_noise: factor of the noise.
    """

    k_diffusion = "sample_dpmpp_3m_sde"
    paper = "arXiv:2211.01095"
    order = 2
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, eta: float = 1.0, s_noise: float = 1.0
    ) -> None:
        super().__init__(grid, prediction)
        self.eta, self.s_noise = in_range("eta", eta, 0.0, 100.0), in_range("s_noise", s_noise, 0.0, 100.0)

    def init(self, x: X) -> State[X]:
        """The x0 of the two steps before, newest first."""
        return (x * 0.0,) * 2

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        x0 = denoise(x, i).x0
        if sigma_next == 0:
            return x0, (x0, state[0])
        h = log(sigma / sigma_next)
        z = (1 + self.eta) * h
        x = exp(-z) * x - expm1(-z) * x0
        sigmas = self.grid.sigma[i - min(self.taken(i), 2) : i + 1]
        past = [log(a / b) / h for a, b in zip(sigmas[-2::-1], sigmas[:0:-1], strict=True)]
        if past:
            newer = (x0 - state[0]) / past[0]
            slope = newer
        if len(past) == 2:
            bend = (newer - (state[0] - state[1]) / past[1]) / (past[0] + past[1])
            slope = newer + past[0] * bend
            x = x + (0.5 - phi(2, -z)) * bend
        if past:
            x = x + z * phi(2, -z) * slope
        return StepNoise(noise, self.eta * h, self.s_noise).added(x, sigma_next, 1.0), (x0, state[0])
