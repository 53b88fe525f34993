"""DDPM."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State
from samplegraph.schedulers.errors import OptionError, one_of
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import COMMON_BETAS, SCHEDULE_DEFAULTS, GridOptions
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS, PredictionOptions
from samplegraph.schedulers.timestep_grid import visited_grid
from samplegraph.schedulers.vector import X

VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large")
_REFUSED = {
    "fixed_large_log": "takes the square root of a negative logarithm and gives NaN in diffusers",
    "learned": "needs a model that predicts its variance, which is not supported yet",
    "learned_range": "needs a model that predicts its variance, which is not supported yet",
}


class DDPM(Scheduler):
    """Denoising diffusion probabilistic models, Ho et al. 2020 (arXiv:2006.11239), eq. 6 and 7, Algorithm 2.

    1 NFE per step and 1 noise in each step from t > 0. Order 1. ``fixed_small`` is DDIM with eta = 1.

    Args:
        variance_type: ``fixed_small`` is the posterior's variance (eq. 7), ``fixed_small_log`` the same value,
            ``fixed_large`` the variance that the forward process adds.
    """

    diffusers_class = "DDPMScheduler"
    diffusers_values: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "beta_schedule": (*COMMON_BETAS, "sigmoid", "laplace")
    }
    paper = "arXiv:2006.11239"
    grid_defaults: ClassVar[Mapping[str, object]] = {
        **SCHEDULE_DEFAULTS,
        "timestep_spacing": "leading",
        "steps_offset": 0,
        "timesteps": None,
    }
    prediction_defaults: ClassVar[Mapping[str, object]] = {
        "prediction_type": None,
        "clip_sample": True,
        "clip_sample_range": 1.0,
        **THRESHOLD_DEFAULTS,
    }

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, variance_type: str = "fixed_small"
    ) -> None:
        super().__init__(grid, prediction)
        if variance_type in _REFUSED:
            raise OptionError(
                f"variance_type={variance_type!r} {_REFUSED[variance_type]}; choose one of {', '.join(VARIANCES)}"
            )
        self.variance_type = one_of("variance_type", variance_type, VARIANCES)

    @classmethod
    def build_grid(cls, steps: int, options: GridOptions) -> Grid:
        return visited_grid(steps, options)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        alpha, sigma, alpha_next, sigma_next = self.pair(i)
        added = float(self.grid.added_variance[i])
        x0 = denoise(x, i).x0
        x = (alpha_next * added / sigma**2) * x0 + (alpha * sigma_next**2 / (alpha_next * sigma**2)) * x
        if self.grid.timesteps[i] <= 0:
            return x, state
        posterior = max(sigma_next**2 / sigma**2 * added, 1e-20)
        return x + sqrt(added if self.variance_type == "fixed_large" else posterior) * noise(), state
