"""DDPM."""

from __future__ import annotations

from typing import Any

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, one_of
from samplegraph.schedulers.grids.options import COMMON_BETAS, TIMESTEP_DEFAULTS
from samplegraph.schedulers.grids.timestep_grid import visited_grid
from samplegraph.schedulers.prediction import CLIP_DEFAULTS, THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.posterior import Posterior

VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range")
_REFUSED = {"fixed_large_log": "takes the square root of a negative logarithm and gives NaN in diffusers"}


class DDPM(Scheduler):
    """Denoising diffusion probabilistic models, Ho et al. 2020 (arXiv:2006.11239), eq. 6 and 7, Algorithm 2.

    1 NFE per step and 1 noise in each step from t > 0. Order 1. ``fixed_small`` is DDIM with eta = 1.

    Args:
        variance_type: ``fixed_small`` is the posterior's variance (eq. 7), ``fixed_small_log`` the same value,
            ``fixed_large`` the variance that the forward process adds. ``learned`` is what the second half of the
            model's channels says, ``learned_range`` interpolates between the logarithms of the small and the large
            one with it (arXiv:2102.09672, eq. 15); with both, steps are not affine.
    """

    diffusers_class = "DDPMScheduler"
    diffusers_aliases = {"variance_type": {None: "fixed_small"}}
    diffusers_twins = ("DDPMParallelScheduler",)
    diffusers_values = {"beta_schedule": (*COMMON_BETAS, "sigmoid", "laplace")}
    paper = "arXiv:2006.11239"
    grid_defaults = {**TIMESTEP_DEFAULTS, "timesteps": None}
    prediction_defaults = {"prediction_type": None, **CLIP_DEFAULTS, **THRESHOLD_DEFAULTS}
    build_grid = staticmethod(visited_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, variance_type: str = "fixed_small") -> None:
        super().__init__(grid, prediction)
        if variance_type in _REFUSED:
            raise OptionError(
                f"variance_type={variance_type!r} {_REFUSED[variance_type]}; choose one of {', '.join(VARIANCES)}"
            )
        one_of("variance_type", variance_type, VARIANCES)
        self.posterior = Posterior(grid)
        self.variance_type, self.learned_variance = variance_type, variance_type.startswith("learned")
        self.std = self.posterior.std_large if variance_type == "fixed_large" else self.posterior.std

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        p = denoise(x, i)
        x = self.posterior.weight_x0[i] * p.x0 + self.posterior.weight_x[i] * x
        if self.grid.timesteps[i] <= 0:
            return x, state
        std: Any = self.std[i]
        if self.learned_variance:
            variance: Any = p.variance
            std = variance**0.5 if self.variance_type == "learned" else self.posterior.std_between(i, variance)
        return x + std * noise(), state
