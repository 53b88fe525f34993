"""Inputs to compare a graph and its eager sampler on, and the eager sampler's results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from samplegraph.export.signature import Signature
from samplegraph.models import Sampler
from samplegraph.models.guidance import NEGATIVE, SCALE

#: Guidance scale that is tried where the default would leave the unconditional branch without effect.
_SCALE = 3.0


def example_inputs(sampler: Sampler, sig: Signature, seed: int) -> dict[str, torch.Tensor]:
    """One value per graph input: unit noise, the example conditions, and a guidance scale that matters."""
    generator = torch.Generator("cpu").manual_seed(seed)
    values: dict[str, torch.Tensor] = {}
    for t in sig.inputs:
        if t.role in ("noise", "step_noise"):
            shape = [sig.example_batch if isinstance(n, str) else n for n in t.shape]
            draw = torch.rand if sampler.scheduler.noise_kind == "uniform" else torch.randn
            values[t.name] = draw(shape, generator=generator)
        elif t.role == "init_sample":
            shape = [sig.example_batch if isinstance(n, str) else n for n in t.shape]
            values[t.name] = 2 * torch.rand(shape, generator=generator) - 1
        elif t.role in ("image", "mask"):
            shape = [sig.example_batch if isinstance(n, str) else n for n in t.shape]
            values[t.name] = torch.rand(shape, generator=generator).round() * (2 if t.role == "image" else 1)
            values[t.name] -= 1 if t.role == "image" else 0
        elif t.role == "guidance_scale":
            scale = sampler.spec.guidance_scale
            values[SCALE] = torch.tensor(scale if scale != 1 else _SCALE)
        elif t.role == "negative":
            values[t.name] = torch.zeros_like(sig.conditions[t.name.removeprefix(NEGATIVE)])
        else:
            values[t.name] = sig.conditions[t.name]
    return values


def run_eager(sampler: Sampler, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """The eager sampler's result."""
    return run_eager_steps(sampler, inputs)[-1]


def run_eager_steps(sampler: Sampler, inputs: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """The eager sampler's sample after every step."""
    given = dict(inputs)
    noise, step_noise = given.pop("noise", None), given.pop("step_noise", None)
    with _inference(sampler):
        return [sample.numpy() for sample in sampler.samples(noise, step_noise, **given)]


@contextmanager
def _inference(module: nn.Module) -> Iterator[None]:
    was_training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m in was_training:
            m.training = True
