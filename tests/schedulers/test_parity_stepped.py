"""Schedulers whose networks are told two timesteps, or give several predictions, against their pipelines' loops."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from reference import SHAPE, Smooth, our_run, relative_error
from torch import nn

from samplegraph.models import ModelSpec, Sampler
from samplegraph.schedulers import OptionError, create, from_config

TOLERANCE = 5e-6


class TwoTimes(Smooth):
    """As an AnyFlow transformer: told where the step leads, too."""

    spec = ModelSpec(second_timestep="r_timestep", prediction_type="flow_prediction")

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, r_timestep: torch.Tensor) -> torch.Tensor:
        return super().forward(sample, timestep) + 0.5 * torch.sin(r_timestep / 60).reshape(-1, 1, 1, 1) * sample


class Policy(Smooth):
    """As a distilled Kandinsky 6: ``count`` predictions one after another in the last axis."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        each = [super(Policy, self).forward(sample + 0.3 * k, timestep - 40.0 * k) for k in range(self.count)]
        return torch.cat(each, dim=-1)


def ours(model: nn.Module, config: dict[str, Any], steps: int | None, **custom: Any) -> torch.Tensor:
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sample: torch.Tensor = Sampler(model, from_config(config, steps, **custom))(noise)
    return sample


FLOWS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"shift": 5.0}, {}),
    ({"shift": 3.0, "num_train_timesteps": 500}, {}),
    ({"shift": 0.7}, {"sigmas": [1.0, 0.6, 0.1]}),
    ({}, {"timesteps": [900.0, 500.5, 10.0]}),
]


@pytest.mark.parametrize(("config", "custom"), FLOWS, ids=str)
def test_a_flow_map_is_told_where_its_step_leads(config: dict[str, Any], custom: dict[str, Any]) -> None:
    """The loop of ``AnyFlowPipeline``."""
    for steps in (1, 2, 3, 8, 25) if not custom else (None,):
        scheduler = diffusers.FlowMapEulerDiscreteScheduler(**config)
        scheduler.set_timesteps(steps, **custom)
        x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        for i, t in enumerate(scheduler.timesteps):
            r = scheduler.sigmas[i + 1] * scheduler.config.num_train_timesteps
            output = TwoTimes()(x, t.expand(SHAPE[0]), r.expand(SHAPE[0]))
            x = scheduler.step(output.float(), t, x, return_dict=False)[0]
        found = ours(TwoTimes(), {"_class_name": "FlowMapEulerDiscreteScheduler", **config}, steps, **custom)
        assert relative_error(found, x) <= TOLERANCE


def test_other_schedulers_tell_it_the_first_timestep_again() -> None:
    class Same(Smooth):
        def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            return TwoTimes()(sample, timestep, timestep)

    scheduler = create("flow_match_heun", 5)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    same = Sampler(Same(), scheduler, spec=ModelSpec(prediction_type="flow_prediction"))
    assert torch.equal(Sampler(TwoTimes(), scheduler)(noise), same(noise))


POLICIES: list[dict[str, Any]] = [
    {},
    {"shift": 1.0, "n_grid": 2},
    {"shift": 3.0, "n_grid": 4, "final_step_size_scale": 1.0, "num_policy_substeps": 16},
    {"num_policy_substeps": 1, "final_step_size_scale": 0.2, "eps": 1e-4, "num_train_timesteps": 500},
]


@pytest.mark.parametrize("config", POLICIES, ids=str)
def test_a_policy_is_integrated(config: dict[str, Any]) -> None:
    """The loop of ``Kandinsky6SRPipeline``."""
    model = Policy(config.get("n_grid", 10))
    for steps in (1, 2, 3, 4, 8, 25):
        scheduler = diffusers.PiflowScheduler(**config)
        scheduler.set_timesteps(steps)
        x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        for t in scheduler.timesteps:
            x = scheduler.step(model(x, t.expand(SHAPE[0])), t, x, return_dict=False)[0]
        assert relative_error(ours(model, {"_class_name": "PiflowScheduler", **config}, steps), x) <= TOLERANCE


def test_a_model_without_a_policy_is_refused() -> None:
    with pytest.raises(OptionError, match=r"has shape \(2, 3, 4, 4\); it has to be \(2, 3, 4, 40\), n_grid=10"):
        our_run(create("piflow", 4))


def test_steps_that_cannot_be_told_apart_are_refused() -> None:
    spec = ModelSpec(second_timestep="r_timestep", prediction_type="flow_prediction", timestep_dtype="int64")
    with pytest.raises(OptionError, match="two steps are told timestep 999 and lead elsewhere; give fewer"):
        Sampler(TwoTimes(), create("flow_map", 1000, shift=9.0), spec=spec)
