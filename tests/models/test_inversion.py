"""From a sample to its noise and back, on the built-in digits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from samplegraph.models import Sampler
from samplegraph.models.digits import digits
from samplegraph.schedulers import OptionError, create

LABELS = {"class_labels": torch.tensor([3, 7])}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return digits().eval()


def sampler(model: nn.Module, name: str, steps: int) -> Sampler:
    options = {k: v for k, v in vars(model.spec.noise_schedule).items() if k != "trained_betas"}
    return Sampler(model, create(name, steps, clip_sample=False, **options), None)


def test_the_way_back_is_the_closer_the_more_steps(model: nn.Module) -> None:
    with torch.no_grad():
        image = sampler(model, "ddim", 25)(torch.randn(2, 1, 16, 16, generator=torch.manual_seed(0)), **LABELS)
        errors = []
        for steps in (10, 25, 50):
            noise = sampler(model, "ddim_inverse", steps)(init_sample=image, **LABELS)
            back = sampler(model, "ddim", steps)(noise, **LABELS)
            errors.append(float((back - image).norm() / image.norm()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.1


def test_it_takes_a_sample_and_nothing_else(model: nn.Module) -> None:
    inverse, image = sampler(model, "ddim_inverse", 2), torch.zeros(2, 1, 16, 16)
    assert (inverse.task.kind, inverse.task.draws, inverse.profile.noise_slices) == ("invert", False, 0)
    with pytest.raises(OptionError, match="noise is given, but ddim_inverse takes none"):
        inverse(image, init_sample=image, **LABELS)
    with pytest.raises(OptionError, match="init_sample is missing"):
        inverse(**LABELS)
    with pytest.raises(OptionError, match="noise is missing"):
        sampler(model, "ddim", 2)(**LABELS)
