"""Inpainting against the arithmetic of ``StableDiffusionInpaintPipeline``'s loop for a model of its own channels."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import diffusers
import pytest
import torch
from reference import SHAPE, Smooth, relative_error

from samplegraph.models import Sampler
from samplegraph.schedulers import OptionError, create, first_step, from_config

#: Classes of one evaluation per step: of the others diffusers also blends the trial samples.
CONFIGS: list[Mapping[str, Any]] = [
    {"_class_name": "DDIMScheduler", "clip_sample": False},
    {"_class_name": "DDPMScheduler"},
    {"_class_name": "EulerDiscreteScheduler"},
    {"_class_name": "EulerAncestralDiscreteScheduler"},
    {"_class_name": "DPMSolverMultistepScheduler"},
    {"_class_name": "DPMSolverSinglestepScheduler"},
    {"_class_name": "DEISMultistepScheduler"},
    {"_class_name": "UniPCMultistepScheduler"},
]


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """A clean sample, and a mask with soft edges."""
    generator = torch.Generator().manual_seed(7)
    return torch.rand(SHAPE, generator=generator) * 2 - 1, torch.rand((SHAPE[0], 1, *SHAPE[2:]), generator=generator)


def diffusers_inpaint(config: Mapping[str, Any], steps: int, strength: float) -> torch.Tensor:
    """``get_timesteps``, ``prepare_latents`` and the loop of that pipeline."""
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    scheduler.set_timesteps(steps)
    begin = max(steps - min(int(steps * strength), steps), 0)
    timesteps = scheduler.timesteps[begin:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    generator = torch.Generator().manual_seed(0)
    draws = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    (image, mask), noise = images(), torch.randn(SHAPE, generator=generator)
    if strength == 1.0:
        sample = noise * scheduler.init_noise_sigma
    else:
        sample = scheduler.add_noise(image, noise, timesteps[:1])
    for i, t in enumerate(timesteps):
        output = Smooth()(scheduler.scale_model_input(sample, t), t.expand(SHAPE[0]))
        sample = scheduler.step(output, t, sample, **draws).prev_sample
        kept = image
        if i < len(timesteps) - 1:
            kept = scheduler.add_noise(image, noise, torch.tensor([timesteps[i + 1]]))
        sample = (1 - mask) * kept + mask * sample
    return sample


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c["_class_name"])
def test_inpainting_is_that_of_diffusers(config: Mapping[str, Any]) -> None:
    image, mask = images()
    for steps, strength in ((8, 1.0), (8, 0.6), (25, 0.3)):
        sampler = Sampler(Smooth(), from_config(config, steps), strength=strength, inpaint=True)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(SHAPE, generator=generator)
        slices = [torch.randn(SHAPE, generator=generator) for _ in range(sampler.profile.noise_slices)]
        found = sampler(noise, torch.stack(slices) if slices else None, init_sample=image, mask=mask)
        error = relative_error(found, diffusers_inpaint(config, steps, strength))
        assert error <= 1e-5, (steps, strength)


@pytest.mark.parametrize("name", ["heun", "pndm", "karras_ve", "score_sde_ve", "ipndm"])
def test_what_is_kept_is_kept_by_every_kind_of_step(name: str) -> None:
    image, _ = images()
    mask = (torch.arange(SHAPE[3]) < 2).float().expand(SHAPE[0], 1, *SHAPE[2:])
    sampler = Sampler(Smooth(), create(name, 6), inpaint=True)
    slices = torch.randn(sampler.profile.noise_slices, *SHAPE)
    found = sampler(torch.randn(SHAPE), slices if len(slices) else None, init_sample=image, mask=mask)
    assert torch.equal(found[..., 2:], image[..., 2:])
    assert torch.isfinite(found).all()


def test_a_strength_of_1_forgets_the_image_where_nothing_is_kept() -> None:
    noise, (image, _) = torch.randn(SHAPE), images()
    sampler = Sampler(Smooth(), create("euler", 5), strength=1.0, inpaint=True)
    everywhere = torch.ones(SHAPE[0], 1, *SHAPE[2:])
    assert sampler.task.begin == first_step(1.0, 5) == 0
    found = sampler(noise, init_sample=image, mask=everywhere)
    assert torch.equal(found, Sampler(Smooth(), create("euler", 5))(noise))


def test_inpaint_takes_a_yes_or_no() -> None:
    with pytest.raises(OptionError, match="inpaint=1 is not allowed"):
        Sampler(Smooth(), create("euler", 5), inpaint=1)  # type: ignore[arg-type]
