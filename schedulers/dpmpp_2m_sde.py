"""DPM-Solver++(2M) SDE."""

from __future__ import annotations

from math import exp, expm1, log

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range, one_of
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.step_noise import StepNoise
from samplegraph.schedulers.weights.phi import phi


class DPMPP2MSDE(Scheduler):
    """SDE-DPM-Solver++(2M) with a free amount of noise, k-diffusion's ``sample_dpmpp_2m_sde``.

    Lu et al. 2022 (arXiv:2211.01095), eq. 18, with the noise of the reverse SDE scaled by ``eta``. 1 NFE per step; for
    ``eta`` above 0, 1 noise in every step that does not end at sigma = 0, the normalised Brownian increment over it.
    Order 2. ``eta=0`` is ``dpm_multistep`` on a grid with alpha = 1, ``eta=1`` its ``sde-dpmsolver++``.

    Args:
        eta: 1 for the reverse SDE, 0 for the probability flow ODE.
        s_noise: factor of the noise.
        solver_type: ``midpoint`` or ``heun``, how the difference of the outputs is weighed.
    """

    k_diffusion = "sample_dpmpp_2m_sde"
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
        solver_type: str = "midpoint",
    ) -> None:
        super().__init__(grid, prediction)
        self.eta, self.s_noise = in_range("eta", eta, 0.0, 100.0), in_range("s_noise", s_noise, 0.0, 100.0)
        self.midpoint = one_of("solver_type", solver_type, ("midpoint", "heun")) == "midpoint"

    def init(self, x: X) -> State[X]:
        """The x0 of the step before."""
        return (x * 0.0,)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, _, sigma_next = self.pair(i)
        x0 = denoise(x, i).x0
        if sigma_next == 0:
            return x0, (x0,)
        h = log(sigma / sigma_next)
        z = (1 + self.eta) * h
        x = exp(-z) * x - expm1(-z) * x0
        if self.taken(i):
            ratio = h / log(float(self.grid.sigma[i - 1]) / sigma)
            weight = -0.5 * expm1(-z) if self.midpoint else z * phi(2, -z)
            x = x + (weight * ratio) * (x0 - state[0])
        return StepNoise(noise, self.eta * h, self.s_noise).added(x, sigma_next, 1.0), (x0,)
