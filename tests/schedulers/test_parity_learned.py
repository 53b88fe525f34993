"""DDPM with a variance that the model predicts, against diffusers."""

from __future__ import annotations

import itertools
from typing import Any

import diffusers
import pytest
import torch
from pipelines import SHAPE, Smooth, ours, relative_error
from torch import nn

from samplegraph.models import Condition, ModelSpec, Sampler
from samplegraph.schedulers import OptionError, create, from_config


class Doubled(nn.Module):
    """A prediction and, as further channels, a variance between ``low`` and 1."""

    def __init__(self, low: float = -1.0) -> None:
        super().__init__()
        self.low = low

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        mean = Smooth()(sample, timestep)
        return torch.cat([mean, self.low + (1 - self.low) * torch.sigmoid(3 * mean.flip(-1))], dim=1)


def loop(steps: int, config: dict[str, Any], model: nn.Module) -> torch.Tensor:
    scheduler = diffusers.DDPMScheduler(**config)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(SHAPE, generator=generator)
    for t in scheduler.timesteps:
        sample = scheduler.step(model(sample, t.expand(SHAPE[0])), t, sample, generator=generator).prev_sample
    return sample


CONFIGS = [
    {"variance_type": variance, "prediction_type": prediction, **clip, **grid}
    for variance, prediction, clip, grid in itertools.product(
        ["learned", "learned_range"],
        ["epsilon", "sample", "v_prediction"],
        [{"clip_sample": True}, {"clip_sample": False}, {"thresholding": True}],
        [{}, {"timestep_spacing": "trailing"}, {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "linspace"}],
    )
]


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_learned_variance(steps: int, config: dict[str, Any]) -> None:
    model = Doubled(0.01 if config["variance_type"] == "learned" else -1.0)
    theirs = loop(steps, config, model)
    scheduler = from_config({"_class_name": "DDPMScheduler", **config}, steps)
    assert relative_error(ours(scheduler, model), theirs) <= 1e-5


def test_a_variance_that_is_not_asked_for_is_left_out() -> None:
    """As the pipelines of DiT and DeepFloyd IF do."""
    spec = ModelSpec(learned_variance=True)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with_variance = Sampler(Doubled(), create("ddim", 4), spec=spec)(noise)
    assert torch.equal(with_variance, Sampler(Smooth(), create("ddim", 4))(noise))


def test_guidance_takes_the_conditional_variance() -> None:
    class Guided(nn.Module):
        spec = ModelSpec(conditions=(Condition("push", null=0.0),), guidance_scale=3.0)

        def forward(self, sample: torch.Tensor, timestep: torch.Tensor, push: torch.Tensor) -> torch.Tensor:
            mean, variance = Doubled()(sample, timestep).chunk(2, dim=1)
            push = push.reshape(-1, 1, 1, 1)
            return torch.cat([mean + push, variance * (1 - push)], dim=1)

    class Expected(nn.Module):
        def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            mean, variance = Doubled()(sample, timestep).chunk(2, dim=1)
            return torch.cat([mean + 3.0 * 0.3, variance * 0.7], dim=1)

    scheduler = create("ddpm", 4, variance_type="learned_range")
    noise, steps = torch.randn(SHAPE), torch.randn(3, *SHAPE)
    found = Sampler(Guided(), scheduler)(noise, steps, push=torch.full((2,), 0.3))
    assert torch.allclose(found, Sampler(Expected(), scheduler)(noise, steps), atol=1e-5)


def test_a_model_without_a_variance_is_refused() -> None:
    sampler = Sampler(Smooth(), create("ddpm", 4, variance_type="learned"))
    with pytest.raises(OptionError, match="learned variance"):
        sampler(torch.randn(SHAPE), torch.randn(3, *SHAPE))
