"""Training as both examples do it: AdamW, a moving average of the weights, float16 on disk."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

WARMUP = 200
EMA_DECAY = 0.998
REPORT = 500


def fit(model: nn.Module, loss_of: Callable[[], Tensor], steps: int, peak_rate: float) -> nn.Module:
    """Minimise ``loss_of()`` over the parameters of ``model``; returns the moving average, a model like it."""
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4, betas=(0.9, 0.99))
    start, losses = time.monotonic(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(peak_rate, step, steps)
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        for kept, parameter in zip(average.parameters(), model.parameters(), strict=True):
            kept.lerp_(parameter.detach(), 1 - decay)
        losses += float(loss.detach())
        if (step + 1) % REPORT == 0:
            seconds, processor = time.monotonic() - start, time.process_time()
            print(f"step {step + 1}  loss {losses / REPORT:.5f}  {seconds:.0f} s, {processor:.0f} s of CPU", flush=True)
            losses = 0.0
    return average


def learning_rate(peak: float, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    return peak * min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def flow_loss(
    velocity: Callable[[Tensor, Tensor], Tensor], x0: Tensor, s: Tensor, generator: torch.Generator
) -> Tensor:
    """Flow matching, Lipman et al. 2022 (arXiv:2210.02747): x = (1 - s) x0 + s eps moves with eps - x0.

    Args:
        velocity: the network, ``velocity(x, timestep)`` with timesteps (B,) in [0, 1000].
        x0: clean samples (B, ...).
        s: where on the way, (B, 1, ...).
    """
    eps = torch.randn(x0.shape, generator=generator)
    return (velocity((1 - s) * x0 + s * eps, s.flatten() * 1000) - (eps - x0)).square().mean()


def save(model: nn.Module, path: Path, recipe: str) -> None:
    """Write the weights as float16: to a temporary name, then renamed."""
    from safetensors.torch import save_file

    partial = path.with_name(path.name + ".partial")
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    save_file(halves, partial, {"recipe": recipe})
    os.replace(partial, path)


def load(model: nn.Module, path: Path) -> None:
    """Fill ``model`` with the weights of ``path``, float32 again, for inference.

    Raises:
        FileNotFoundError: the weights have not been trained.
    """
    from safetensors.torch import load_file

    model.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    model.eval().requires_grad_(False)
