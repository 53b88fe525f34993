"""How well a scheduler draws from a mixture of Gaussians, whose exact denoiser has a closed form.

The data are numbers between -1 and 1 in three clusters. Two networks know them exactly: the *denoiser* gives the mean
of x0 at a noisy x, which is what training leads to; the *consistency model* gives the x0 at which the probability flow
from x ends, which is what distillation leads to. In one dimension that flow keeps quantiles, so the one end follows
from the other by the distribution functions of both.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import nn

from samplegraph.models import ModelSpec, Sampler
from samplegraph.schedulers import NoiseSchedule, Scheduler

WEIGHTS, MEANS, DEVIATIONS = (0.4, 0.35, 0.25), (-0.7, 0.1, 0.65), (0.08, 0.05, 0.1)
SAMPLES = 10_000
#: Training timesteps follow the digits model's schedule.
SCHEDULE = NoiseSchedule()


class Mixture(nn.Module):
    """x0 (B, 1) in float64 for the noisy ``sample`` (B, 1) at fractional timesteps (B,); for a scheduler that weighs
    several outputs (B, ``outputs``), all the same."""

    def __init__(self, distilled: bool, outputs: int = 1) -> None:
        super().__init__()
        self.spec = ModelSpec(
            "mixture", sample_shape=(1,), prediction_type="sample", noise_schedule=SCHEDULE, dtype="float64"
        )
        self.distilled, self.outputs = distilled, outputs
        abar = SCHEDULE.alphas_cumprod(torch.float64)
        self.log_ratio = (0.5 * ((1 - abar) / abar).log()).numpy()
        self.register_buffer("parts", torch.tensor([WEIGHTS, MEANS, DEVIATIONS], dtype=torch.float64))

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """x0, read at the same noise-to-signal ratio as the timestep has on the schedule."""
        ratio = float(np.exp(np.interp(float(timestep[0]), np.arange(len(self.log_ratio)), self.log_ratio)))
        alpha = (1 + ratio**2) ** -0.5
        x = sample.double() / alpha
        weights, means, deviations = self.parts
        spread = (deviations**2 + ratio**2).sqrt()
        away = (x - means) / spread
        if self.distilled:
            rank = (weights * torch.special.ndtr(away)).sum(-1, keepdim=True)
            values, ranks = quantiles()
            return torch.from_numpy(np.interp(rank.numpy(), ranks, values)).to(sample.dtype).repeat(1, self.outputs)
        share = torch.softmax(weights.log() - spread.log() - 0.5 * away**2, dim=-1)
        mean = means + (deviations / spread) ** 2 * (x - means)
        return (share * mean).sum(-1, keepdim=True).to(sample.dtype).repeat(1, self.outputs)


@cache
def quantiles() -> tuple[np.ndarray, np.ndarray]:
    """Values of the data, ascending, and the part of the data that is below each."""
    values = torch.linspace(-1.3, 1.3, 200_001, dtype=torch.float64)[:, None]
    weights, means, deviations = torch.tensor([WEIGHTS, MEANS, DEVIATIONS], dtype=torch.float64)
    ranks = (weights * torch.special.ndtr((values - means) / deviations)).sum(-1)
    return values[:, 0].numpy(), ranks.numpy()


@torch.no_grad()
def distance(scheduler: Scheduler, distilled: bool) -> float:
    """Wasserstein distance between 10,000 samples and the data, in units of the data's deviation."""
    weights = scheduler.grid.own.get("output_weights")
    sampler = Sampler(Mixture(distilled, 1 if weights is None else weights.shape[1]), scheduler)
    even = (torch.arange(SAMPLES, dtype=torch.float64)[:, None] + 0.5) / SAMPLES
    generator = torch.Generator().manual_seed(0)
    count = sampler.profile.noise_slices
    slices = torch.randn((count, SAMPLES, 1), generator=generator, dtype=torch.float64) if count else None
    drawn = sampler(torch.special.ndtri(even), slices).flatten().nan_to_num(1e6).sort().values
    values, ranks = quantiles()
    wanted = np.interp(even.flatten().numpy(), ranks, values)
    return float(f"{np.abs(drawn.numpy() - wanted).mean() / wanted.std():.3g}")
