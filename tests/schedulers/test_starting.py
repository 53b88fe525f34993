"""Runs that start in the middle, against diffusers' own image-to-image loop."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from reference import SHAPE, Smooth, relative_error

from samplegraph.models import Sampler
from samplegraph.schedulers import OptionError, Scheduler, create, first_step, from_config, names, starting_at

#: Diffusers configs, each of a class whose own loop can start in the middle.
CONFIGS: list[Mapping[str, Any]] = [
    {"_class_name": "DDIMScheduler"},
    {"_class_name": "DDIMScheduler", "clip_sample": False, "timestep_spacing": "trailing"},
    {"_class_name": "DDPMScheduler"},
    {"_class_name": "EulerDiscreteScheduler"},
    {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True},
    {"_class_name": "EulerAncestralDiscreteScheduler"},
    {"_class_name": "HeunDiscreteScheduler"},
    {"_class_name": "KDPM2DiscreteScheduler"},
    {"_class_name": "KDPM2AncestralDiscreteScheduler"},
    {"_class_name": "DPMSolverMultistepScheduler"},
    {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "use_karras_sigmas": True},
    {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"},
    {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3, "lower_order_final": False},
    {"_class_name": "DPMSolverSinglestepScheduler"},
    {"_class_name": "DPMSolverSinglestepScheduler", "solver_order": 3},
    {"_class_name": "DEISMultistepScheduler"},
    {"_class_name": "DEISMultistepScheduler", "solver_order": 3},
    {"_class_name": "UniPCMultistepScheduler"},
    {"_class_name": "UniPCMultistepScheduler", "solver_order": 3, "disable_corrector": [0, 4]},
    {"_class_name": "LMSDiscreteScheduler"},
    {"_class_name": "PNDMScheduler", "skip_prk_steps": True},
    {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
    {"_class_name": "FlowMatchEulerDiscreteScheduler", "stochastic_sampling": True},
    {"_class_name": "FlowMatchHeunDiscreteScheduler"},
    {"_class_name": "FlowMatchLCMScheduler"},
    {"_class_name": "FlowMapEulerDiscreteScheduler"},
    {"_class_name": "LCMScheduler"},
    {"_class_name": "TCDScheduler"},
    {"_class_name": "EDMEulerScheduler"},
    {"_class_name": "EDMDPMSolverMultistepScheduler", "solver_order": 3},
    {"_class_name": "CMStochasticIterativeScheduler"},
    {"_class_name": "CogVideoXDDIMScheduler"},
    {"_class_name": "SASolverScheduler", "predictor_order": 3, "corrector_order": 3},
]
#: Schedulers whose diffusers classes have no ``add_noise`` or no loop of steps to slice.
ALONE = {
    "score_sde_vp": "no add_noise",
    "score_sde_ve": "a pipeline of its own, from step 0",
    "karras_ve": "add_noise raises NotImplementedError",
    "ipndm": "no add_noise",
    "dpm_sde": "noise from a tree of its own",
    "cosine_dpm": "noise from a tree of its own",
    "scm": "no add_noise",
    "consistency_decoder": "no add_noise, and 2 steps only",
    "unclip": "step has to be told the next timestep",
    "wuerstchen": "timesteps end with that where sampling ends",
    "cogvideox_dpm": "step has to be handed the x0 before",
    "ltx_euler_ancestral": "no add_noise",
    "minimax_h3": "counts the end as a step",
    "helios": "no add_noise",
    "piflow": "no add_noise",
    "helios_dmd": "add_noise takes the tables of a stage",
}


def diffusers_image_to_image(
    config: Mapping[str, Any], steps: int, begin: int, step: Callable[[], Mapping[str, Any]] = dict
) -> torch.Tensor:
    """The loop of diffusers' image-to-image pipelines."""
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    scheduler.set_timesteps(steps)
    timesteps = scheduler.timesteps[begin * scheduler.order :]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin * scheduler.order)
    generator = torch.Generator().manual_seed(0)
    draws = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    noise, image = torch.randn(SHAPE, generator=generator), picture()
    if hasattr(scheduler, "scale_noise"):
        sample = scheduler.scale_noise(image, timesteps[:1], noise)
    else:
        sample = scheduler.add_noise(image, noise, timesteps[:1])
    for t in timesteps:
        seen = scheduler.scale_model_input(sample, t) if hasattr(scheduler, "scale_model_input") else sample
        output = Smooth()(seen, t.expand(SHAPE[0]))
        sample = scheduler.step(output, t, sample, **draws, **step()).prev_sample
    return sample


def picture() -> torch.Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(7)) * 2 - 1


def ours(scheduler: Scheduler, **start: Any) -> torch.Tensor:
    sampler = Sampler(Smooth(), scheduler, **start)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(SHAPE, generator=generator)
    slices = [torch.randn(SHAPE, generator=generator) for _ in range(sampler.profile.noise_slices)]
    with torch.no_grad():
        sample: torch.Tensor = sampler(noise, torch.stack(slices) if slices else None, init_sample=picture())
    return sample


def lms_image_to_image(config: Mapping[str, Any], steps: int, begin: int) -> torch.Tensor:
    """Diffusers' LMS with the orders of a run that begins here; left alone it truncates formulas of a higher order."""
    taken = itertools.count(1)
    return diffusers_image_to_image(config, steps, begin, step=lambda: {"order": min(next(taken), 4)})


def pndm_image_to_image(config: Mapping[str, Any], steps: int, begin: int) -> torch.Tensor:
    """Diffusers' PNDM over a list of timesteps that holds the warm-up; its own slice cuts into that."""
    scheduler = diffusers.PNDMScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    t, stride = scheduler._timesteps[: steps - begin], scheduler.config.num_train_timesteps // steps
    if scheduler.config.skip_prk_steps:
        timesteps = [*t[:-1], *t[-2:-1], *t[-1:]][::-1]
    else:
        warm = t[-4:].repeat(2) + np.tile([0, stride // 2], 4)
        scheduler.prk_timesteps = warm[:-1].repeat(2)[1:-1][::-1].copy()
        timesteps = [*scheduler.prk_timesteps, *t[:-3][::-1]]
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    sample = scheduler.add_noise(picture(), noise, torch.tensor(timesteps[:1]))
    for each in timesteps:
        sample = scheduler.step(Smooth()(sample, torch.tensor([each] * SHAPE[0])), int(each), sample).prev_sample
    return sample


LOOPS = {"LMSDiscreteScheduler": lms_image_to_image, "PNDMScheduler": pndm_image_to_image}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: "-".join(map(str, c.values())))
def test_image_to_image_is_that_of_diffusers(config: Mapping[str, Any]) -> None:
    for steps, strength in [(3, 0.7), (8, 0.55), (8, 0.2), (25, 0.6)]:
        begin = first_step(strength, steps)
        theirs = LOOPS.get(config["_class_name"], diffusers_image_to_image)(config, steps, begin)
        error = relative_error(ours(from_config(config, steps), strength=strength), theirs)
        assert error <= 1e-5, (steps, strength)


def test_every_scheduler_can_start_or_says_why_not() -> None:
    covered = {from_config(config, 8).name for config in CONFIGS}
    for name in names():
        scheduler = create(name, 8)
        if scheduler.no_start:
            with pytest.raises(OptionError, match=name):
                starting_at(scheduler, 4)
            for start in ({"begin": 0}, {"strength": 0.5}, {"inpaint": True}):
                with pytest.raises(OptionError, match=f"{next(iter(start))}=.*{name}: "):
                    Sampler(Smooth(), scheduler, **start)
            continue
        begun = starting_at(scheduler, 4)
        assert name in covered or not type(scheduler).diffusers_class or isinstance(ALONE[name], str)
        assert not any(begun.profile().evaluations[:4])
        assert begun.profile().nfe < scheduler.profile().nfe
        assert begun.config == scheduler.config


@pytest.mark.parametrize("steps", [1, 3, 7, 10, 25, 49, 50, 999, 1000])
def test_the_strength_named_as_the_least_is_enough(steps: int) -> None:
    with pytest.raises(OptionError, match=f"of {steps} steps") as refused:
        first_step(0.9 / steps, steps)
    least = float(str(refused.value).split("at least ")[1].split(",")[0])
    assert first_step(least, steps) == steps - 1


@pytest.mark.parametrize("value", [0, 0.0, -0.1, 1.01, float("nan"), float("inf"), True, "0.5", None, 2**70])
def test_a_strength_out_of_range(value: Any) -> None:
    with pytest.raises(OptionError, match="strength="):
        first_step(value, 8)


@pytest.mark.parametrize("value", [-1, 8, 100, 0.5, True, "3"])
def test_a_begin_out_of_range(value: Any) -> None:
    with pytest.raises(OptionError, match="begin="):
        Sampler(Smooth(), create("ddim", 8), begin=value)


def test_a_warm_up_that_does_not_fit() -> None:
    with pytest.raises(OptionError, match="begin=5 leaves 3 of 8 steps"):
        starting_at(create("pndm", 8), 5)
    assert starting_at(create("pndm", 8), 4).profile().nfe == 13


def test_strength_and_begin_exclude_each_other() -> None:
    with pytest.raises(OptionError, match=r"strength=0.5 and begin=3 are both given"):
        Sampler(Smooth(), create("ddim", 8), strength=0.5, begin=3)


@pytest.mark.parametrize(("steps", "begin"), [(12, 3), (12, 8), (25, 10)])
def test_pndm_warms_up_anew_with_runge_kutta(steps: int, begin: int) -> None:
    config = {"_class_name": "PNDMScheduler"}
    theirs = pndm_image_to_image(config, steps, begin)
    assert relative_error(ours(from_config(config, steps), begin=begin), theirs) <= 1e-5
