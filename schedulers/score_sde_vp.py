"""The reverse SDE of the variance-preserving process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from typing import ClassVar

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State
from samplegraph.schedulers.errors import OptionError, flag, in_range
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import GridOptions
from samplegraph.schedulers.prediction import PredictionOptions
from samplegraph.schedulers.vector import X


class ScoreSdeVP(Scheduler):
    """Reverse diffusion of the VP SDE, Song et al. 2021 (arXiv:2011.13456), eq. 32 and the Euler-Maruyama form of
    eq. 6, over the times t = 1 .. ``sampling_eps``.

    1 NFE and 1 noise per step. Order 1. As in diffusers every step has length 1/N, though the times are
    (1 - sampling_eps) / (N - 1) apart, and the network predicts eps = -std * score. A model without a noise schedule
    is told t itself, one that declares one the timestep of the same noise-to-signal ratio.

    Args:
        timestep_scale: what t is multiplied with before the model is told; 999 for the models of the paper.
        noise_removal: return the mean of the last step (the paper's appendix G); its noise is drawn all the same.
    """

    diffusers_class = "ScoreSdeVpScheduler"
    paper = "arXiv:2011.13456"
    grid_defaults: ClassVar[Mapping[str, object]] = {
        "num_train_timesteps": 2000,
        "beta_min": 0.1,
        "beta_max": 20.0,
        "sampling_eps": 1e-3,
        "exact_tables": False,
    }

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        timestep_scale: float = 1.0,
        noise_removal: bool = True,
    ) -> None:
        scale = in_range("timestep_scale", timestep_scale, 0.0, float("inf"))
        super().__init__(replace(grid, timesteps=scale * grid.timesteps), prediction)
        self.noise_removal = flag("noise_removal", noise_removal)

    @classmethod
    def build_grid(cls, steps: int, options: GridOptions) -> Grid:
        low, high = options.beta_min, options.beta_max
        t = torch.linspace(1, options.sampling_eps, steps, dtype=options.torch_dtype)
        log_alpha = -0.25 * t**2 * (high - low) - 0.5 * t * low
        std = torch.sqrt(1.0 - torch.exp(2.0 * log_alpha))
        beta = low + t * (high - low)
        if not bool((std > 0).all()) or not bool((beta >= 0).all()):
            raise OptionError(
                f"sampling_eps={options.sampling_eps!r}, beta_min={low!r}, beta_max={high!r} give a deviation of 0 or "
                "a negative rate, where diffusers gives NaN; give sampling_eps > 0 and beta_max >= beta_min > 0"
            )
        own = {"beta": beta, "diffusion": beta.sqrt()}
        return Grid(
            steps=steps,
            family="vp",
            schedule=None,
            timesteps=t.double().numpy(),
            alpha=np.append(log_alpha.exp().double().numpy(), 1.0),
            sigma=np.append(std.double().numpy(), 0.0),
            own={name: table.double().numpy() for name, table in own.items()},
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        beta, std = float(self.grid.own["beta"][i]), float(self.grid.sigma[i])
        score = denoise(x, i).eps / -std
        drift = (-0.5 * beta) * x - float(self.grid.own["diffusion"][i]) ** 2 * score
        mean = x - drift / self.steps
        sample = mean + (float(self.grid.own["diffusion"][i]) * sqrt(1 / self.steps)) * noise()
        return (mean if self.noise_removal and i + 1 == self.steps else sample), state
