"""The stochastic schedulers that have pipelines of their own, against those pipelines' loops."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from pipelines import Score, Smooth, karras_ve, ours, relative_error, score_sde_ve, score_sde_vp
from torch import nn

from samplegraph.models import ModelSpec, Sampler
from samplegraph.schedulers import OptionError, create, from_config

TOLERANCE = 1e-5


VP = [{}, {"beta_min": 0.01, "beta_max": 5}, {"beta_max": 40.0}, {"sampling_eps": 1e-5}, {"sampling_eps": 0.05}]


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("config", VP, ids=str)
def test_score_sde_vp(steps: int, config: dict[str, Any]) -> None:
    theirs = score_sde_vp(steps, config, Smooth())
    scheduler = from_config({"_class_name": "ScoreSdeVpScheduler", **config}, steps)
    assert relative_error(ours(scheduler, Smooth()), theirs) <= TOLERANCE


KARRAS = [
    {"s_churn": churn, "s_noise": noise, **more}
    for churn, noise in itertools.product([0.0, 1.0, 80], [1.0, 1.007])
    for more in ({}, {"s_min": 0.0, "s_max": 1e6}, {"sigma_min": 0.1, "sigma_max": 8}, {"sigma_max": 80.0})
]


@pytest.mark.parametrize("steps", [2, 3, 8, 25])
@pytest.mark.parametrize("config", KARRAS, ids=str)
def test_karras_ve(steps: int, config: dict[str, Any]) -> None:
    theirs = karras_ve(steps, config, Score())
    scheduler = from_config({"_class_name": "KarrasVeScheduler", **config}, steps)
    assert scheduler.profile().noise_slices == steps
    assert scheduler.profile().nfe == 2 * steps - 1
    assert relative_error(ours(scheduler, Score()), theirs) <= TOLERANCE


def test_karras_ve_cannot_do_one_step() -> None:
    with pytest.raises(OptionError, match="at least 2"):
        create("karras_ve", 1)


VE = [
    {"snr": snr, "correct_steps": correct, **more}
    for snr, correct in itertools.product([0.15, 0.3], [0, 1, 3])
    for more in ({}, {"sigma_max": 50.0}, {"sigma_min": 0.1, "sigma_max": 10}, {"sampling_eps": 1e-3})
]


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 25])
@pytest.mark.parametrize("config", VE, ids=str)
def test_score_sde_ve(steps: int, config: dict[str, Any]) -> None:
    theirs = score_sde_ve(steps, config, Score())
    scheduler = from_config({"_class_name": "ScoreSdeVeScheduler", **config}, steps)
    assert scheduler.profile().noise_slices == steps * (config["correct_steps"] + 1)
    assert relative_error(ours(scheduler, Score()), theirs) <= TOLERANCE


def test_score_sde_ve_samples_are_independent_on_request() -> None:
    """By default a sample depends on its batch, as in diffusers."""
    for per_sample in (False, True):
        scheduler = create("score_sde_ve", 3, per_sample=per_sample)
        sampler = Sampler(Score(), scheduler)
        noise, steps = torch.randn(2, 3, 4, 4), torch.randn(6, 2, 3, 4, 4)
        noise[1] *= 3
        both, alone = sampler(noise, steps), sampler(noise[:1], steps[:, :1])
        assert torch.allclose(both[:1], alone, rtol=1e-5, atol=1e-5) is per_sample


@pytest.mark.parametrize("name", ["score_sde_vp", "karras_ve", "score_sde_ve"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction", "score"])
def test_a_model_with_a_noise_schedule_is_asked_at_its_own_timesteps(name: str, prediction_type: str) -> None:
    """A linear denoiser of data N(0, 1), exact whatever it predicts: in VP terms x0 = alpha x."""
    from samplegraph.schedulers import NoiseSchedule

    abar = NoiseSchedule().alphas_cumprod(torch.float64)

    class Exact(nn.Module):
        def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            low = timestep.long().clamp(max=998)
            w = timestep - low
            ratio = ((1 - abar) / abar).log() / 2
            ratio = ((1 - w) * ratio[low] + w * ratio[low + 1]).exp().reshape(-1, 1, 1, 1)
            alpha = 1 / (1 + ratio**2).sqrt()
            sigma = alpha * ratio
            x0, eps = alpha * sample, sigma * sample
            answer = {"epsilon": eps, "sample": x0, "v_prediction": alpha * eps - sigma * x0, "score": -eps / sigma}
            return answer[prediction_type]

    spec = ModelSpec(prediction_type=prediction_type, noise_schedule=NoiseSchedule())
    options = {"score_sde_ve": {"sigma_max": 50.0}, "karras_ve": {"corrected": True}}.get(name, {})
    scheduler = create(name, 64, **options)
    sampler = Sampler(Exact(), scheduler, spec=spec)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(64, 1, 8, 8, generator=generator, dtype=torch.float64)
    steps = torch.randn(scheduler.profile().noise_slices, 64, 1, 8, 8, generator=generator, dtype=torch.float64)
    sample = sampler(noise, steps)
    assert 0.85 < float(sample.std()) < 1.15
