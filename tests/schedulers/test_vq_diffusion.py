"""VQ-Diffusion against its pipeline's loop, and against the distribution that the token model was built from."""

from __future__ import annotations

import itertools
from typing import Any

import diffusers
import pytest
import torch
from torch import nn

from samplegraph.models import Sampler
from samplegraph.models.demo import demo_model
from samplegraph.schedulers import OptionError, create, from_config

PLACES = 6


class LogProbs(nn.Module):
    """Smooth logarithms of probabilities for any number of classes."""

    def __init__(self, classes: int, sharpness: float = 2.0) -> None:
        super().__init__()
        self.classes, self.sharpness = classes, sharpness

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        c = torch.arange(self.classes - 1).reshape(1, -1, 1)
        place = torch.arange(sample.shape[1]).reshape(1, 1, -1)
        logits = torch.sin(c * 1.3 + place + sample.unsqueeze(1) * 0.7 + timestep.reshape(-1, 1, 1) / 9)
        return torch.log_softmax(self.sharpness * logits, dim=1)


def truncate(log_p: torch.Tensor, rate: float) -> torch.Tensor:
    """As the pipeline's method, one place after another."""
    kept = torch.full_like(log_p, -torch.inf)
    for row, place in itertools.product(range(log_p.shape[0]), range(log_p.shape[2])):
        values, order = torch.sort(log_p[row, :, place], descending=True)
        below = values.exp().cumsum(0) < rate
        for rank, c in enumerate(order):
            if rank == 0 or below[rank - 1]:
                kept[row, c, place] = log_p[row, c, place]
    return kept


def loop(steps: int, config: dict[str, Any], rate: float, model: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The loop of ``VQDiffusionPipeline``; also its draws."""
    scheduler = diffusers.VQDiffusionScheduler(**config)
    scheduler.set_timesteps(steps)
    generator, draws = torch.Generator().manual_seed(0), []
    sample = torch.full((2, PLACES), config["num_vec_classes"] - 1)
    for t in scheduler.timesteps:
        output = truncate(model(sample, t.expand(2)), rate).clamp(-70)
        state = generator.get_state()
        sample = scheduler.step(output, timestep=t, sample=sample, generator=generator).prev_sample
        generator.set_state(state)
        rows = config["num_vec_classes"] - (t == 0).int().item()
        draws.append(torch.rand((2, rows, PLACES), generator=generator))
    return sample, draws


CONFIGS = [
    {"num_vec_classes": classes, **more}
    for classes, more in itertools.product(
        [2, 5, 40],
        [{}, {"num_train_timesteps": 30}, {"alpha_cum_end": 0.1, "gamma_cum_end": 0.8}, {"gamma_cum_start": 1e-6}],
    )
]


@pytest.mark.parametrize("rate", [1.0, 0.86, 0.2])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_parity(rate: float, config: dict[str, Any]) -> None:
    for steps, sharpness in itertools.product([1, 2, 3, 8, 25], [0.5, 6.0]):
        model = LogProbs(config["num_vec_classes"], sharpness)
        theirs, draws = loop(steps, config, rate, model)
        padded = [nn.functional.pad(d, (0, 0, 0, config["num_vec_classes"] - d.shape[1]), value=0.5) for d in draws]
        scheduler = from_config({"_class_name": "VQDiffusionScheduler", **config}, steps, truncation_rate=rate)
        assert len(draws) == scheduler.profile().noise_slices + 1
        found = Sampler(model, scheduler)(padded[0], torch.stack(padded[1:]) if steps > 1 else None)
        assert torch.equal(found, theirs)
        assert found.dtype == torch.int64


def test_samples_follow_the_distribution_that_the_model_was_built_from() -> None:
    """Mean grey level of each place, over samples of one digit, against the mixture's."""
    model = demo_model("vq_diffusion")
    sampler = Sampler(model, create("vq_diffusion", 100), None)
    generator, rows = torch.Generator().manual_seed(0), 256
    noise = torch.rand(rows, 9, 64, generator=generator)
    steps = torch.rand(99, rows, 9, 64, generator=generator)
    found = sampler(noise, steps, class_labels=torch.full((rows,), 3)).double().mean(0)
    levels = model.levels.reshape(10, -1, 64, 8)[3].double().mean(0)
    expected = levels @ torch.arange(8).double()
    assert float((found - expected).abs().max()) < 0.75
    assert float((found - expected).square().mean().sqrt()) < 0.2


@pytest.mark.parametrize(
    ("steps", "options", "message"),
    [
        (101, {}, "steps=101 is more than num_train_timesteps=100"),
        (5, {"num_vec_classes": 1}, "num_vec_classes=1"),
        (5, {"num_train_timesteps": 1}, "num_train_timesteps=1|more than"),
        (5, {"gamma_cum_end": 1.0}, "probabilities of 0 or less"),
        (5, {"truncation_rate": 2.0}, "truncation_rate=2.0"),
    ],
)
def test_refused(steps: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        create("vq_diffusion", steps, **options)


def test_models_of_the_other_kind_are_refused() -> None:
    with pytest.raises(OptionError, match="predicts 'log_probs'"):
        Sampler(demo_model("vq_diffusion"), create("ddim", 2))
    with pytest.raises(OptionError, match="needs one that predicts log_probs"):
        Sampler(demo_model("ddim"), create("vq_diffusion", 2))
    with pytest.raises(OptionError, match="give num_vec_classes=9"):
        Sampler(demo_model("vq_diffusion"), create("vq_diffusion", 2, num_vec_classes=10))
