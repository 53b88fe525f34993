"""Bumblebee's contract against the sampler, for every scheduler of one evaluation per step."""

from __future__ import annotations

import pytest
import torch
from pipelines import Smooth

from samplegraph.models import Sampler
from samplegraph.schedulers import OptionError, compatibles, create, names, starting_at
from samplegraph.schedulers.stepwise import Stepwise

SEEDS = [3, 1, 4]


def single(name: str) -> Stepwise | None:
    try:
        return Stepwise(create(name, 8))
    except OptionError:
        return None


@pytest.mark.parametrize("name", names())
def test_stepwise_is_what_the_sampler_does(name: str) -> None:
    stepwise = single(name)
    if stepwise is None:
        pytest.skip("more than one evaluation per step, or more than predictions")
    model, scheduler = Smooth(), stepwise.scheduler
    state, timesteps, sample = stepwise.init((3, 4, 4), SEEDS)
    noise, slices = sample / scheduler.init_noise_sigma, state.noise
    for t in timesteps:
        prediction = model(stepwise.scaled(state, sample), t.expand(3))
        state, sample = stepwise.step(state, sample, prediction)
    expected = Sampler(model, scheduler)(noise, slices if len(slices) else None)
    assert torch.allclose(sample, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    with pytest.raises(OptionError, match="all 8 steps"):
        stepwise.step(state, sample, sample)


def test_a_sample_depends_on_its_own_seed_alone() -> None:
    stepwise = Stepwise(create("ddpm", 4))
    state, _, sample = stepwise.init((1, 4, 4), SEEDS)
    alone, _, first = stepwise.init((1, 4, 4), SEEDS[1:2])
    assert torch.equal(sample[1:2], first)
    assert torch.equal(state.noise[:, 1:2], alone.noise)


def test_most_schedulers_can() -> None:
    able = {name for name in names() if single(name)}
    assert {"ddim", "ddpm", "euler", "euler_ancestral", "dpm_multistep", "score_sde_vp"} <= able
    assert not {"heun", "karras_ve", "piflow", "repaint", "vq_diffusion", "score_sde_ve"} & able


@pytest.mark.parametrize("name", names())
def test_what_is_public(name: str) -> None:
    scheduler = create(name, 8)
    assert scheduler.timesteps.shape == (8,)
    assert scheduler.sigmas.shape == (9,)
    assert name in compatibles(name)
    if name == "vq_diffusion":
        assert compatibles(name) == (name,)
        return
    assert "vq_diffusion" not in compatibles(name)
    alpha, sigma = float(scheduler.grid.alpha[3]), float(scheduler.grid.sigma[3])
    assert torch.allclose(scheduler.add_noise(torch.ones(2), torch.ones(2), 3), torch.full((2,), alpha + sigma))
    with pytest.raises(OptionError, match="i=8"):
        scheduler.add_noise(1.0, 1.0, 8)


def test_a_start_from_a_clean_sample_is_refused() -> None:
    for scheduler in (create("ddim_inverse", 8), starting_at(create("ddim", 8), 3)):
        with pytest.raises(OptionError, match="starts from a clean sample"):
            Stepwise(scheduler)


def test_noise_before_the_model_is_refused() -> None:
    with pytest.raises(OptionError, match="euler adds noise before it asks the model"):
        Stepwise(create("euler", 8, s_churn=2.0, corrected=True))
