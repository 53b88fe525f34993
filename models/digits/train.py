"""Train the digits model: `python -m samplegraph.models.digits.train [--seed 0] [--steps 6000] [--output FILE]`.

Denoising diffusion training (Ho et al. 2020, arXiv:2006.11239, algorithm 1) with the default noise schedule of
diffusers (linear betas 1e-4 to 0.02, T = 1000), epsilon prediction, and the class label dropped now and then for
classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598). The last quarter of the steps teaches the model to
stay within the pixels' range under guidance (`targets.in_range_target`). About 25 minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from pathlib import Path

import torch

from samplegraph.models.digits import WEIGHTS
from samplegraph.models.digits.targets import Source, in_range_target
from samplegraph.models.digits.unet import DigitsUNet

BATCH = 128
FIRST_PART = 0.75
PEAK_RATES = (1.5e-3, 5e-4)
WARMUP = 200
EMA_DECAY = 0.998


def learning_rate(peak: float, step: int, progress: float) -> float:
    """Linear warm-up, then half a cosine to zero; `progress` runs from 0 to 1."""
    return peak * min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def save(model: DigitsUNet, path: Path, recipe: str) -> None:
    """Write the weights to a temporary name, then rename: a killed run leaves the previous file intact."""
    from safetensors.torch import save_file

    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, partial, {"recipe": recipe})
    os.replace(partial, path)


class Trainer:
    """The model, its moving average, and from the second part on the teacher."""

    def __init__(self, seed: int, bf16: bool) -> None:
        torch.manual_seed(seed)
        self.model = DigitsUNet()
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.teacher: DigitsUNet | None = None
        self.source = Source(seed)
        self.bf16 = bf16
        self.restart()

    def restart(self) -> None:
        """Begin a part: step 0, a fresh optimizer."""
        self.step = 0
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-3, betas=(0.9, 0.99))

    def begin_second_part(self) -> None:
        """Freeze the average as teacher and go on from it."""
        self.teacher = copy.deepcopy(self.average)
        self.model.load_state_dict(self.average.state_dict())
        self.restart()

    def advance(self, rate: float) -> float:
        """One step; returns the loss, the mean of (eps error)^2 / alpha, which is alpha times the velocity's."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.source.draw(BATCH)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            target = batch.eps
            if self.teacher is not None:
                batch = self.source.confuse(batch)
                target = in_range_target(self.teacher, batch)
            error = self.model(batch.x, batch.t, batch.labels) - target
        loss = (error.float().square() / batch.alpha).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        decay = min(EMA_DECAY, (self.step + 1) / (self.step + 10))
        for average, parameter in zip(self.average.parameters(), self.model.parameters(), strict=True):
            average.lerp_(parameter.detach(), 1 - decay)
        self.step += 1
        return float(loss.detach())


def train(seed: int, steps: int, minutes: float, output: Path, bf16: bool) -> None:
    """Train for `steps` steps, or `minutes` if they are over sooner; the rate decays to zero either way."""
    from rich.progress import track

    trainer, start = Trainer(seed, bf16), time.monotonic()
    losses: list[float] = []
    for step in track(range(steps), "training digits", disable=not sys.stdout.isatty()):
        progress = max(step / steps, (time.monotonic() - start) / (60 * minutes))
        if progress >= 1:
            break
        second = progress >= FIRST_PART
        if second and trainer.teacher is None:
            trainer.begin_second_part()
        part = (progress - FIRST_PART) / (1 - FIRST_PART) if second else progress / FIRST_PART
        losses.append(trainer.advance(learning_rate(PEAK_RATES[second], trainer.step, part)))
        if (step + 1) % 250 == 0:
            mean = sum(losses[-250:]) / 250
            print(f"step {step + 1}  loss {mean:.4f}  {time.monotonic() - start:.0f} s", flush=True)
            save(trainer.average, output, f"seed {seed}, {step + 1} of {steps} steps")
    save(trainer.average, output, f"seed {seed}, {len(losses)} of {steps} steps")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the built-in digits model.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after so long, whatever --steps says")
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="the safetensors file to write")
    parser.add_argument("--fp32", action="store_true", help="no bfloat16: for processors without AVX512-BF16 or AMX")
    arguments = parser.parse_args()
    train(arguments.seed, arguments.steps, arguments.minutes, arguments.output, bf16=not arguments.fp32)


if __name__ == "__main__":
    main()
