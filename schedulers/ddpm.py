"""DDPM."""

from __future__ import annotations

from typing import Any

import torch

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, one_of
from samplegraph.schedulers.options import COMMON_BETAS, TIMESTEP_DEFAULTS
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.prediction import CLIP_DEFAULTS, THRESHOLD_DEFAULTS
from samplegraph.schedulers.tensors import tensor
from samplegraph.schedulers.timestep_grid import visited_grid

VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range")
_REFUSED = {"fixed_large_log": "takes the square root of a negative logarithm and gives NaN in diffusers"}


class DDPM(Scheduler):
    """Denoising diffusion probabilistic models, Ho et al. 2020 (arXiv:2006.11239), eq. 6 and 7, Algorithm 2.

    1 NFE per step and 1 noise in each step from t > 0. Order 1. ``fixed_small`` is DDIM with eta = 1.

    Args:
        variance_type: ``fixed_small`` is the posterior's variance (eq. 7), ``fixed_small_log`` the same value,
            ``fixed_large`` the variance that the forward process adds. ``learned`` is what the second half of the
            model's channels says, ``learned_range`` interpolates between the logarithms of the small and the large
            one with it (arXiv:2102.09672, eq. 15); both are traced, since they are not affine.
    """

    diffusers_class = "DDPMScheduler"
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
        abar, abar_next = grid.tensor("abar"), grid.tensor("abar_next")
        kept = abar / abar_next
        self.weight_x0 = floats(abar_next**0.5 * (1 - kept) / (1 - abar))
        self.weight_x = floats(kept**0.5 * (1 - abar_next) / (1 - abar))
        posterior = ((1 - abar_next) / (1 - abar) * (1 - kept)).clamp(min=1e-20)
        self.variance_type, self.learned_variance = variance_type, variance_type.startswith("learned")
        self.std = floats((1 - kept if variance_type == "fixed_large" else posterior) ** 0.5)
        self.log_small, self.log_large = floats(posterior.log()), floats((1 - kept).log())

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        p = denoise(x, i)
        x = self.weight_x0[i] * p.x0 + self.weight_x[i] * x
        if self.grid.timesteps[i] <= 0:
            return x, state
        std: Any = self._predicted_std(i, tensor(p.variance)) if self.learned_variance else self.std[i]
        return x + std * noise(), state

    def _predicted_std(self, i: int, variance: torch.Tensor) -> torch.Tensor:
        if self.variance_type == "learned":
            return variance**0.5
        share = (variance + 1) / 2
        return torch.exp(0.5 * (share * self.log_large[i] + (1 - share) * self.log_small[i]))
