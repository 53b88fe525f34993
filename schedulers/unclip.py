"""DDPM as unCLIP runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, one_of
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule
from samplegraph.schedulers.grids.timestep_grid import vp_grid
from samplegraph.schedulers.prediction import CLIP_DEFAULTS
from samplegraph.schedulers.steps.posterior import Posterior


class UnCLIP(Scheduler):
    """Ancestral sampling of Karlo and Kandinsky's unCLIP, Ramesh et al. 2022 (arXiv:2204.06125): DDPM
    (arXiv:2006.11239, eq. 6 and 7) over N timesteps from T - 1 to 0, each step to the next, the last to abar = 1.

    1 NFE per step and 1 noise in each step but the last. Order 1. At least 2 steps.

    Args:
        variance_type: ``fixed_small_log`` is the posterior's variance; ``learned_range`` interpolates to the larger one
            by the second half of the model's channels (arXiv:2102.09672, eq. 15).
    """

    diffusers_class = "UnCLIPScheduler"
    diffusers_values = {"beta_schedule": ("squaredcos_cap_v2",), "prediction_type": ("epsilon", "sample")}
    paper = "arXiv:2204.06125"
    grid_defaults = {
        "num_train_timesteps": 1000,
        "beta_schedule": "squaredcos_cap_v2",
        "exact_tables": False,
    }
    prediction_defaults = {"prediction_type": None, **CLIP_DEFAULTS}

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, variance_type: str = "fixed_small_log") -> None:
        super().__init__(grid, prediction)
        one_of("variance_type", variance_type, ("fixed_small_log", "learned_range"))
        self.learned_variance = variance_type == "learned_range"
        self.posterior = Posterior(grid, _single_steps(grid))

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        if steps < 2:
            raise OptionError(f"steps={steps} is too few for unclip, which divides by N - 1; give at least 2")
        stride = (options.schedule.num_train_timesteps - 1) / (steps - 1)
        t = np.asarray((np.arange(steps) * stride).round()[::-1], dtype=np.float64)
        return vp_grid(options, t, np.append(t[1:], -1.0), alpha_to_one=True)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        p, posterior = denoise(x, i), self.posterior
        x = posterior.weight_x0[i] * p.x0 + posterior.weight_x[i] * x
        if i + 1 == self.steps:
            return x, state
        std: Any = posterior.std_between(i, p.variance) if self.learned_variance else posterior.std[i]
        return x + std * noise(), state


def _single_steps(grid: Grid) -> torch.Tensor:
    """The betas (N,) of steps of one training timestep, which diffusers takes as they are; NaN elsewhere."""
    assert isinstance(grid.schedule, NoiseSchedule)
    betas, t = grid.schedule.betas(grid.dtype), torch.from_numpy(grid.timesteps.copy())
    single = torch.cat([t[:-1] - t[1:] == 1, torch.tensor([True])])
    return torch.where(single, betas[t.long()], torch.nan)
