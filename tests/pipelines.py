"""The loops of diffusers' pipelines for schedulers that have one of their own, and ours fed with the same draws."""

from __future__ import annotations

from typing import Any

import diffusers
import torch
from diffusers.schedulers.deprecated.scheduling_karras_ve import KarrasVeScheduler
from diffusers.schedulers.deprecated.scheduling_sde_vp import ScoreSdeVpScheduler
from torch import nn

from samplegraph.models import Sampler
from samplegraph.schedulers import Scheduler

SHAPE = (2, 3, 4, 4)


class Smooth(nn.Module):
    """A bounded smooth function of (sample, timestep) that stands for a denoiser of any prediction type."""

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        t = timestep.to(torch.float32).reshape(-1, 1, 1, 1)
        place = torch.linspace(0, 3, sample[0].numel()).reshape(sample.shape[1:])
        return 0.8 * torch.tanh(0.7 * sample + 0.3 * torch.cos(t / 200 + place)) + 0.2 * torch.sin(t / 77 + place)


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference over the largest value of diffusers' array."""
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())


class Score(nn.Module):
    """A bounded function of (sample, sigma) that stands for a score network: ``-x / (1 + sigma^2)`` and more."""

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        scale = 1 / torch.sqrt(1 + timestep.float() ** 2).reshape(-1, *[1] * (sample.ndim - 1))
        place = torch.linspace(0, 3, sample[0].numel()).reshape(sample.shape[1:])
        return -scale * (0.9 * torch.tanh(sample * scale) + 0.1 * torch.sin(place + scale))


def ours(scheduler: Scheduler, model: nn.Module, seed: int = 0, **inputs: torch.Tensor) -> torch.Tensor:
    sampler = Sampler(model, scheduler)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(SHAPE, generator=generator)
    slices = [torch.randn(SHAPE, generator=generator) for _ in range(sampler.profile.noise_slices)]
    with torch.no_grad():
        sample: torch.Tensor = sampler(noise, torch.stack(slices) if slices else None, **inputs)
    return sample


def score_sde_vp(steps: int, config: dict[str, Any], model: nn.Module) -> torch.Tensor:
    scheduler = ScoreSdeVpScheduler(**config)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(SHAPE, generator=generator)
    for t in scheduler.timesteps:
        t = t * torch.ones(SHAPE[0])
        sample, mean = scheduler.step_pred(model(sample, t), sample, t, generator=generator)
    return mean


def karras_ve(steps: int, config: dict[str, Any], model: nn.Module) -> torch.Tensor:
    """The loop of ``KarrasVePipeline``."""
    scheduler = KarrasVeScheduler(**config)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
    scheduler.set_timesteps(steps)

    def network(sample: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return (sigma / 2) * model((sample + 1) / 2, (sigma / 2).expand(len(sample)))

    for t in scheduler.timesteps:
        sigma = scheduler.schedule[t]
        sigma_prev = scheduler.schedule[t - 1] if t > 0 else 0
        hat, sigma_hat = scheduler.add_noise_to_input(sample, sigma, generator=generator)
        output = scheduler.step(network(hat, sigma_hat), sigma_hat, sigma_prev, hat)
        if sigma_prev != 0:
            again = network(output.prev_sample, sigma_prev)
            ahead, slope = output.prev_sample, output["derivative"]
            output = scheduler.step_correct(again, sigma_hat, sigma_prev, hat, ahead, slope)
        sample = output.prev_sample
    return sample


def score_sde_ve(steps: int, config: dict[str, Any], model: nn.Module) -> torch.Tensor:
    """The loop of ``ScoreSdeVePipeline``."""
    scheduler = diffusers.ScoreSdeVeScheduler(**config)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
    scheduler.set_timesteps(steps)
    scheduler.set_sigmas(steps)
    for i, t in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[i] * torch.ones(SHAPE[0])
        for _ in range(scheduler.config.correct_steps):
            sample = scheduler.step_correct(model(sample, sigma), sample, generator=generator).prev_sample
        output = scheduler.step_pred(model(sample, sigma), t, sample, generator=generator)
        sample, mean = output.prev_sample, output.prev_sample_mean
    return mean


def repaint(
    steps: int, config: dict[str, Any], jumps: dict[str, int], image: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The loop of ``RePaintPipeline``."""
    config = dict(config)
    eta = config.pop("eta", 0.0)
    scheduler = diffusers.RePaintScheduler(**config)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(SHAPE, generator=generator)
    scheduler.set_timesteps(steps, **jumps)
    scheduler.eta = eta
    t_last = scheduler.timesteps[0] + 1
    for t in scheduler.timesteps:
        if t < t_last:
            output = Smooth()(sample, t.expand(SHAPE[0]))
            sample = scheduler.step(output, t, sample, image, mask, generator).prev_sample
        else:
            sample = scheduler.undo_step(sample, t_last, generator)
        t_last = t
    return sample
