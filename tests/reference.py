"""Diffusers' own production loop, and ours fed with the same draws."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any
from unittest import mock

import diffusers
import torch
from diffusers.schedulers.scheduling_consistency_decoder import ConsistencyDecoderScheduler
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


def diffusers_class(name: str) -> Any:
    """The class of that name; one of them is not exported."""
    if name == "ConsistencyDecoderScheduler":
        return ConsistencyDecoderScheduler
    return getattr(diffusers, name)


def diffusers_scheduler(class_name: str, config: Mapping[str, Any]) -> Any:
    """One of that class. Constructors that build a grid of every training timestep, seconds of Python for some options
    and thrown away by the next ``set_timesteps``, build one of three."""
    cls = diffusers_class(class_name)
    whole = cls.set_timesteps
    if "self.set_timesteps(" not in inspect.getsource(cls.__init__):
        return cls(**config)

    def three(self: Any, _: int, *args: Any, **named: Any) -> None:
        whole(self, 3, *args, **named)

    with mock.patch.object(cls, "set_timesteps", three):
        return cls(**config)


def diffusers_loop(
    class_name: str,
    config: Mapping[str, Any],
    steps: int | None,
    *,
    set_kwargs: Mapping[str, Any] | None = None,
    step_kwargs: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> torch.Tensor:
    """The loop of a diffusers pipeline: the model sees the scaled sample, ``step`` gets the unscaled one."""
    scheduler = diffusers_scheduler(class_name, config)
    if steps is None:
        scheduler.set_timesteps(**(set_kwargs or {}))
    else:
        scheduler.set_timesteps(steps, **(set_kwargs or {}))
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    generator = torch.Generator().manual_seed(seed)
    draws = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    model = Smooth()
    sample = torch.randn(SHAPE, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(sample, t) if hasattr(scheduler, "scale_model_input") else sample
        output = model(seen, t.expand(SHAPE[0]))
        sample = scheduler.step(output, t, sample, **draws, **(step_kwargs or {})).prev_sample
    return sample


def our_run(scheduler: Scheduler, *, seed: int = 0) -> torch.Tensor:
    """Ours, with ``step_noise`` drawn from the same generator after the initial noise."""
    sampler = Sampler(Smooth(), scheduler)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(SHAPE, generator=generator)
    slices = [torch.randn(SHAPE, generator=generator) for _ in range(sampler.profile.noise_slices)]
    start = {"init_sample": noise} if scheduler.inverts else {"noise": noise}
    with torch.no_grad():
        sample: torch.Tensor = sampler(step_noise=torch.stack(slices) if slices else None, **start)
    return sample


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference over the largest value of diffusers' array; 0 where both are the same zeros."""
    if torch.equal(ours, theirs):
        return 0.0
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())
