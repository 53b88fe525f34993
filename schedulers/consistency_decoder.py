"""The decoder of latents that is a consistency model."""

from __future__ import annotations

import numpy as np

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.steps.first_order import renoised


class ConsistencyDecoder(Scheduler):
    """Two-step consistency sampling of DALL-E 3's decoder (Song et al. 2023, arXiv:2303.01469, Algorithm 1, on the
    cosine schedule of arXiv:2102.09672).

    1 NFE per step, 1 noise in each step but the last. For a consistency model; a solver of no order for another.
    diffusers takes 2 steps only, at timesteps 1008 and 512 of 1024; other counts divide the same range evenly.
    """

    diffusers_class = "ConsistencyDecoderScheduler"
    diffusers_steps = (2,)
    paper = "arXiv:2303.01469"
    grid_defaults = {"num_train_timesteps": 1024, "sigma_data": 0.5, "exact_tables": False}
    prediction_defaults = {}

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        total = options.schedule.num_train_timesteps
        schedule = NoiseSchedule("squaredcos_cap_v2", num_train_timesteps=total)
        first = total * 63 // 64
        t = np.floor(first - np.arange(steps) * ((first - total / 64) / steps))
        abar = schedule.alphas_cumprod(options.torch_dtype)
        ratio, data = (1.0 / abar - 1).sqrt()[t], options.sigma_data
        inverse = (1.0 / abar).sqrt()[t]
        alpha, sigma = widened(abar.sqrt()[t]), widened((1.0 - abar).sqrt()[t])
        skip = inverse * data**2 / (ratio**2 + data**2)
        gain = ratio * data / (ratio**2 + data**2) ** 0.5
        return Grid(
            steps=steps,
            family="vp",
            schedule=None,
            timesteps=t,
            alpha=np.append(alpha, 1.0),
            sigma=np.append(sigma, 0.0),
            input_scale=widened(inverse / (ratio**2 + data**2) ** 0.5),
            preconditioned={"epsilon": (widened(skip), widened(gain))},
            init_noise_sigma=float(sigma[0]),
            dtype=options.torch_dtype,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        x0 = denoise(x, i).x0
        return (x0 if i + 1 == self.steps else renoised(x0, noise(), alpha_next, sigma_next)), state
