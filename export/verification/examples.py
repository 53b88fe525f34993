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
from samplegraph.runtime.manifest import Tensor

#: Guidance scale that is tried where the default would leave the unconditional branch without effect.
_SCALE = 3.0


def example_inputs(sampler: Sampler, sig: Signature, seed: int) -> dict[str, torch.Tensor]:
    """One value per graph input: unit noise, the example conditions, and a guidance scale that matters."""
    generator = torch.Generator("cpu").manual_seed(seed)
    values: dict[str, torch.Tensor] = {}
    for t in sig.edge.inputs:
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
        elif (name := t.name.removeprefix(NEGATIVE)) in sig.edge.examples:
            values[t.name] = _drawn(t, sig.edge.examples[name], generator)
        elif t.role == "negative":
            values[t.name] = torch.zeros_like(sig.conditions[name])
        else:
            values[t.name] = sig.conditions[t.name]
    return values


def _drawn(tensor: Tensor, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An input of a module in front: within its limits, else unit normal; whole numbers without limits as exemplified.

    Both branches of guidance differ in it, so that a graph that takes one for the other is found out.
    """
    low, high = tensor.minimum, tensor.maximum
    if like.is_floating_point():
        drawn = torch.randn(like.shape, generator=generator)
        if low is not None and high is not None:
            drawn = low + (high - low) * torch.rand(like.shape, generator=generator)
        return drawn.to(like.dtype)
    if low is None or high is None or like.dtype == torch.bool:
        return like
    return torch.randint(int(low), int(high) + 1, like.shape, generator=generator).to(like.dtype)


def run_eager(sampler: Sampler, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """The eager sampler's result."""
    return run_eager_steps(sampler, inputs)[-1]


def run_eager_steps(sampler: Sampler, inputs: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """The eager sampler's sample after every step, and its result where a module behind makes that of the last."""
    given = dict(inputs)
    noise, step_noise = given.pop("noise", None), given.pop("step_noise", None)
    with _inference(sampler):
        samples = list(sampler.samples(noise, step_noise, **given))
        return [each.numpy() for each in (*samples, *([sampler.decoded(samples[-1])] if sampler.post else []))]


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
