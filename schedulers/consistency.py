"""Consistency models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, in_range
from samplegraph.schedulers.grids.edm_grid import ends
from samplegraph.schedulers.grids.respacing import karras_at
from samplegraph.schedulers.grids.spacing import custom
from samplegraph.schedulers.precision import floats, widened
from samplegraph.schedulers.steps.first_order import renoised


class Consistency(Scheduler):
    """Multistep consistency sampling, Song et al. 2023 (arXiv:2303.01469), Algorithm 1: each step predicts x0 at
    ``sigma_min`` and puts fresh noise on it.

    1 NFE per step and, for N > 1, 1 noise per step (also in the last, where its coefficient is 0). For a consistency
    model; a solver of no order for another. A network without a noise schedule of its own gives x0 through the
    boundary scalings of appendix C.

    Args:
        s_noise: deviation of the fresh noise.
        clip_denoised: clamp x0 to [-1, 1].
    """

    diffusers_class = "CMStochasticIterativeScheduler"
    paper = "arXiv:2303.01469"
    grid_defaults = {
        "num_train_timesteps": 40,
        "sigma_min": 0.002,
        "sigma_max": 80.0,
        "sigma_data": 0.5,
        "rho": 7.0,
        "timesteps": None,
        "exact_tables": False,
    }
    prediction_defaults = {}

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, s_noise: float = 1.0, clip_denoised: bool = True
    ) -> None:
        super().__init__(grid, replace(prediction, clip_sample=flag("clip_denoised", clip_denoised)))
        low, sigma = float(grid.own["sigma_min"][0]), grid.tensor("sigma_next")
        scale = in_range("s_noise", s_noise, 0.0, float("inf"))
        self.std = [scale * std for std in floats((sigma**2 - low**2).clamp(min=0.0) ** 0.5)]

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        total = options.schedule.num_train_timesteps
        if total < 2:
            raise OptionError(f"num_train_timesteps={total} gives no schedule; give at least 2")
        if options.timesteps is not None:
            t = custom(options.timesteps, total, whole=True)
        else:
            t = np.arange(steps, dtype=np.float64)[::-1] * (total // steps)
        (high, low), data = ends(options), options.sigma_data
        spread = karras_at(t[::-1] / (total - 1), high, low, options.rho)
        sigma = torch.from_numpy(np.append(spread, low)).to(options.torch_dtype)
        at = sigma[:-1]
        skip = data**2 / ((at - low) ** 2 + data**2)
        gain = (at - low) * data / (at**2 + data**2) ** 0.5
        return Grid(
            steps=len(at),
            family="ve",
            schedule=None,
            timesteps=250 * np.log(spread + 1e-44),
            alpha=np.ones(len(sigma)),
            sigma=widened(sigma),
            input_scale=widened(1 / (at**2 + data**2) ** 0.5),
            preconditioned={"epsilon": (widened(skip), widened(gain))},
            own={"sigma_min": np.array([low])},  # not rounded to float32, as diffusers squares it
            init_noise_sigma=high,
            dtype=options.torch_dtype,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        x0 = denoise(x, i).x0
        return (renoised(x0, noise(), 1.0, self.std[i]) if self.steps > 1 else x0), state
