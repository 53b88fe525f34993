"""DDIM."""

from __future__ import annotations

from math import sqrt

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State, X
from samplegraph.schedulers.errors import flag, in_range
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import SCHEDULE_DEFAULTS, GridOptions
from samplegraph.schedulers.prediction import PredictionOptions
from samplegraph.schedulers.timestep_grid import strided_grid


class DDIM(Scheduler):
    """Denoising diffusion implicit models, Song et al. 2021 (arXiv:2010.02502), eq. 12 and 16.

    1 NFE and, for eta > 0, 1 noise per step. Order 1. ``eta=1`` is DDPM with the fixed_small variance; ``eta=0``
    is Euler's method in sigma/alpha, and DPM-Solver++ of order 1. A step leads to ``t - T // N`` as in diffusers,
    not to the next visited timestep.

    Args:
        eta: weight of the noise put back at each step, in [0, 1].
        use_clipped_model_output: derive eps anew from the clipped x0.
    """

    diffusers_class = "DDIMScheduler"
    paper = "arXiv:2010.02502"
    grid_defaults = {
        **SCHEDULE_DEFAULTS,
        "timestep_spacing": "leading",
        "steps_offset": 0,
        "set_alpha_to_one": True,
    }
    prediction_defaults = {
        "prediction_type": None,
        "clip_sample": True,
        "clip_sample_range": 1.0,
        "thresholding": False,
        "dynamic_thresholding_ratio": 0.995,
        "sample_max_value": 1.0,
    }

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, eta: float = 0.0, use_clipped_model_output: bool = False
    ) -> None:
        super().__init__(grid, prediction)
        self.eta = in_range("eta", eta, 0.0, 1.0)
        self.use_clipped_model_output = flag("use_clipped_model_output", use_clipped_model_output)

    @classmethod
    def build_grid(cls, steps: int, options: GridOptions) -> Grid:
        return strided_grid(steps, options)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        alpha, sigma, alpha_next, sigma_next = self.pair(i)
        p = denoise(x, i)
        eps = (x - alpha * p.x0) / sigma if self.use_clipped_model_output else p.eps  # type: ignore[operator]
        std = self.eta * (sigma_next / sigma) * sqrt(max(0.0, 1 - (alpha / alpha_next) ** 2))
        x = alpha_next * p.x0 + sqrt(max(0.0, sigma_next**2 - std**2)) * eps  # type: ignore[operator]
        return (x + std * noise() if self.eta else x), state  # type: ignore[operator]
