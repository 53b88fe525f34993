"""The stochastic sampler of Karras et al. for variance-exploding models."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, in_range
from samplegraph.schedulers.grids.sigmas import custom_sigmas


class KarrasVE(Scheduler):
    """Stochastic Heun sampler, Karras et al. 2022 (arXiv:2206.00364), Algorithm 2 with the VE schedule of Table 1.

    2 NFE per step and 1 in the last: 2N - 1; 1 noise per step, also where nothing is churned. Order 2 without
    churn. Unlike ``euler`` and ``heun`` it churns before the model sees the sample, at ``sigma_hat``.

    diffusers reads the squares of the schedule as sigmas: from ``sigma_max**2`` down to ``sigma_min**2``, though the
    first sample has deviation ``sigma_max``. ``corrected=True`` takes the roots, as the paper does.

    Args:
        s_churn, s_min, s_max, s_noise: amount of churn, spread over the steps; the range of sigmas that it is
            limited to; deviation of its noise.
        unit_range: a model without a noise schedule was trained on data in [0, 1]: as in diffusers' pipeline it sees
            ``(x + 1) / 2`` at ``sigma / 2`` (eq. 213) and returns the score. If off, it sees x at sigma.
        corrected: use the paper's schedule.
    """

    order = 2
    default_prediction_type = "score"
    diffusers_class = "KarrasVeScheduler"
    k_diffusion = "sample_heun"
    paper = "arXiv:2206.00364"
    grid_defaults = {"sigma_min": 0.02, "sigma_max": 100.0, "sigmas": None, "exact_tables": False}

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        s_churn: float = 80.0,
        s_noise: float = 1.007,
        s_min: float = 0.05,
        s_max: float = 50.0,
        unit_range: bool = True,
        corrected: bool = False,
    ) -> None:
        if grid.steps == 1 and grid.own["roots"] is not grid.own["sigmas"] and not corrected:
            raise OptionError(
                "steps=1 gives NaN in diffusers, whose schedule divides by N - 1; give at least 2, or corrected=True"
            )
        churn = min(in_range("s_churn", s_churn, 0.0, inf) / grid.steps, 2**0.5 - 1)
        low, high = in_range("s_min", s_min, 0.0, inf), in_range("s_max", s_max, 0.0, inf)
        sigma = torch.from_numpy(grid.own["roots" if flag("corrected", corrected) else "sigmas"].copy())
        gamma = torch.where((sigma[:-1] >= low) & (sigma[:-1] <= high), churn, 0.0).to(sigma.dtype)
        hat = sigma[:-1] + gamma * sigma[:-1]
        added = (hat**2 - sigma[:-1] ** 2) ** 0.5
        super().__init__(_with_churned(grid, sigma, hat, added, flag("unit_range", unit_range)), prediction)
        self.s_noise = in_range("s_noise", s_noise, 0.0, inf)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        if options.sigmas is not None:
            sigmas = roots = custom_sigmas(options)
            first = float(sigmas[0])
        else:
            low, first = options.sigma_min or 0.02, options.sigma_max or 100.0
            squares = [first**2 * (low**2 / first**2) ** (i / max(steps - 1, 1)) for i in range(steps)]
            sigmas = np.array([*squares, 0.0], dtype=options.numpy_dtype)
            roots = np.sqrt(sigmas)
        return Grid(
            steps=steps,
            family="ve",
            schedule=None,
            timesteps=sigmas[:-1].astype(np.float64),
            alpha=np.ones(steps + 1),
            sigma=sigmas.astype(np.float64),
            own={"sigmas": sigmas, "roots": roots},
            init_noise_sigma=first,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        point = self.steps + i
        sigma_hat, sigma_next = float(self.grid.sigma[point]), float(self.grid.sigma_next[i])
        draw, added = self.s_noise * noise(), float(self.grid.own["added"][i])
        hat = x + added * draw if added else x
        slope = (hat - denoise(hat, point).x0) / sigma_hat
        ahead = hat + (sigma_next - sigma_hat) * slope
        if sigma_next == 0 or i + 1 == self.steps:
            return ahead, state
        slope_next = (ahead - denoise(ahead, i + 1).x0) / sigma_next
        return hat + (sigma_next - sigma_hat) * (0.5 * slope + 0.5 * slope_next), state


def _with_churned(grid: Grid, sigma: torch.Tensor, hat: torch.Tensor, added: torch.Tensor, unit: bool) -> Grid:
    """The grid over the N points ``sigma`` followed by the N points ``hat`` that churn leads to."""
    points, shift = torch.cat([sigma[:-1], hat]).double().numpy(), 0.5 if unit else 0.0
    return replace(
        grid,
        timesteps=(1 - shift) * points,
        alpha=np.ones(len(points) + 1),
        sigma=np.append(points, float(sigma[-1])),
        alpha_next=np.ones(len(points)),
        sigma_next=np.tile(sigma[1:].double().numpy(), 2),
        abar=np.ones(len(points)),
        abar_next=np.ones(len(points)),
        input_scale=np.full(len(points), 1 - shift),
        input_shift=shift,
        own={"added": added.double().numpy()},
    )
