"""How well a scheduler draws the built-in digits."""

from __future__ import annotations

import torch

from samplegraph.models import Sampler
from samplegraph.models.demo import demo_model, demo_source
from samplegraph.models.digits import data
from samplegraph.models.digits.evaluate import classifier, hundred_labels
from samplegraph.schedulers import Scheduler

GUIDANCE = 2.0


@torch.no_grad()
def judged(scheduler: Scheduler) -> list[float]:
    """Of 100 samples, ten of each digit: the part that a classifier reads as the digit asked for, and the variance of
    a digit's samples over that of people's writing."""
    sampler = Sampler(demo_model(scheduler.name), scheduler, GUIDANCE)
    labels, generator = hundred_labels(), torch.Generator().manual_seed(0)
    shape = (len(labels), *scheduler.noise_shape(tuple(sampler.spec.sample_shape or ())))
    draw = torch.rand if scheduler.noise_kind == "uniform" else torch.randn
    noise = draw(shape, generator=generator)
    slices = [draw(shape, generator=generator) for _ in range(sampler.profile.noise_slices)]
    samples = sampler(noise, torch.stack(slices) if slices else None, class_labels=labels)
    small = 2.0 * samples + 1.0 if demo_source(scheduler.name) == "tokens" else data.reduce(samples)
    small = small.flatten(1).nan_to_num().clamp(0, data.WHITE)
    right = torch.as_tensor(classifier().predict(small.numpy())) == labels
    real, real_labels = data.load()
    spread = [_variance(small[labels == d]) / _variance(real.flatten(1)[real_labels == d]) for d in range(10)]
    return [round(float(right.double().mean()), 2), round(sum(spread) / 10, 2)]


def _variance(images: torch.Tensor) -> float:
    return float(images.var(dim=0, correction=0).mean())
