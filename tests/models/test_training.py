"""Models of one training under schedulers of another: rescaled, and asked at the timestep of equal noise."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import pytest
import torch
from torch import Tensor, nn

from samplegraph.models import ModelSpec, Sampler
from samplegraph.schedulers import EDMSchedule, FlowSchedule, NoiseSchedule, OptionError, create
from samplegraph.schedulers.grids.training import Schedule, preconditioner, schedule_of, seen_scale, told_timesteps

DEVIATION = 0.5
TRAININGS: dict[str, tuple[Schedule, str]] = {
    "flow": (FlowSchedule(500), "flow_prediction"),
    "edm": (EDMSchedule(0.7), "epsilon"),
    "edm-v": (EDMSchedule(0.7), "v_prediction"),
    "vp": (NoiseSchedule(), "v_prediction"),
    "vp-eps": (NoiseSchedule(), "epsilon"),
}
SAMPLERS = [
    ("ddim", {"clip_sample": False}),
    ("euler", {}),
    ("flow_match_euler", {}),
    ("flow_match_heun", {}),
    ("edm_euler", {}),
    ("edm_dpm", {}),
    ("karras_ve", {"corrected": True, "s_churn": 0.0}),
]


class Gaussian(nn.Module):
    """The best network of its training for data N(0, 1/4): it knows how noisy a sample is from the timestep alone."""

    def __init__(self, training: Schedule, kind: str) -> None:
        super().__init__()
        self.spec = ModelSpec(prediction_type=kind, noise_schedule=training)
        self.training_of, self.kind = training, kind

    def level(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) in the scaling of the training."""
        match self.training_of:
            case FlowSchedule(count):
                return 1 - t / count, t / count
            case EDMSchedule():
                return torch.ones_like(t), (4 * t).exp()
            case other:
                abar = other.alphas_cumprod(torch.float64)
                ratio, low = ((1 - abar) / abar).log() / 2, t.long().clamp(max=998)
                ratio = ((1 - t + low) * ratio[low] + (t - low) * ratio[low + 1]).exp()
                return 1 / (1 + ratio**2).sqrt(), ratio / (1 + ratio**2).sqrt()

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        alpha, sigma = self.level(timestep[0].double())
        scale = float(seen_scale(self.training_of, alpha.numpy(), sigma.numpy()))
        x = sample.double() / scale
        variance = (alpha * DEVIATION) ** 2 + sigma**2
        x0, eps = alpha * DEVIATION**2 / variance * x, sigma / variance * x
        if isinstance(self.training_of, EDMSchedule):
            skip, gain = preconditioner(self.training_of.sigma_data, alpha.numpy(), sigma.numpy())
            return (x0 - float(skip) * x) / float(gain) * (1 if self.kind == "epsilon" else -1)
        answers = {"flow_prediction": eps - x0, "v_prediction": alpha * eps - sigma * x0, "epsilon": eps}
        return answers[self.kind]


@pytest.mark.parametrize(("training", "sampler"), itertools.product(TRAININGS, SAMPLERS), ids=str)
def test_any_model_under_any_path(training: str, sampler: tuple[str, dict[str, object]]) -> None:
    """Of unit noise each makes samples of the data's deviation, as far as 48 steps allow."""
    name, options = sampler
    scheduler = create(name, 48, **options)
    model = Sampler(Gaussian(*TRAININGS[training]), scheduler)
    draws = scheduler.profile().noise_slices
    noise = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    sample = model(noise, torch.zeros(draws, 1, 1, 1, 1, dtype=torch.float64) if draws else None)
    assert float(sample) == pytest.approx(DEVIATION, rel=0.12)


def test_a_flow_model_over_its_own_grid_is_left_alone() -> None:
    class Told(nn.Module):
        spec = ModelSpec(prediction_type="flow_prediction", noise_schedule=FlowSchedule())

        def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
            self.seen = sample, timestep
            return sample

    model = Told()
    scheduler = create("flow_match_euler", 4, shift=3.0)
    Sampler(model, scheduler).denoiser.bind({}, [])(x := torch.randn(2, 3), 1)
    assert torch.equal(model.seen[0], x)
    assert float(model.seen[1][0]) == pytest.approx(scheduler.timesteps[1])


@pytest.mark.parametrize("training", TRAININGS)
def test_a_schedule_is_made_again_from_its_fields(training: str) -> None:
    schedule = TRAININGS[training][0]
    assert schedule_of(asdict(schedule)) == schedule


def test_timesteps_of_a_flow_and_of_edm() -> None:
    alpha, sigma = torch.tensor([0.6]).double().numpy(), torch.tensor([0.8]).double().numpy()
    assert told_timesteps(FlowSchedule(1000), alpha, sigma) == pytest.approx(1000 * 0.8 / 1.4)
    assert told_timesteps(EDMSchedule(), alpha, sigma) == pytest.approx(0.25 * torch.tensor(0.8 / 0.6).log().item())


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), "x", None])
def test_a_deviation_of_the_data_that_is_none(value: object) -> None:
    with pytest.raises(OptionError, match="sigma_data="):
        EDMSchedule(value)  # type: ignore[arg-type]
