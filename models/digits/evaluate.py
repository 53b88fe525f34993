"""Judge the digits model: `python -m samplegraph.models.digits.evaluate [--seeds 5] [--samplers all]`.

100 samples, ten of each digit, are judged on three counts: does a classifier trained on the real digits read the
digit that was asked for, do the samples of one digit differ as much as people's do, and is none a copy of a training
image. The samplers are diffusers' own, so that the verdict does not depend on the rest of this project.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from samplegraph.models.digits import data, digits
from samplegraph.models.digits.targets import GUIDANCE_SCALE
from samplegraph.models.digits.unet import NULL_CLASS, DigitsUNet

MIN_ACCURACY, MIN_DIVERSITY, MIN_DISTANCE = 0.95, 0.60, 0.02

# name -> diffusers class, steps, options; "ddim-25" is the one that the bars are set for
SAMPLERS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "ddim-25": ("DDIMScheduler", 25, {}),
    "ddim-25-noclip": ("DDIMScheduler", 25, {"clip_sample": False}),
    "ddim-10": ("DDIMScheduler", 10, {}),
    "ddim-25-trailing": ("DDIMScheduler", 25, {"timestep_spacing": "trailing"}),
    "ddpm-50": ("DDPMScheduler", 50, {}),
    "euler-25": ("EulerDiscreteScheduler", 25, {}),
    "euler_ancestral-25": ("EulerAncestralDiscreteScheduler", 25, {}),
    "heun-25": ("HeunDiscreteScheduler", 25, {}),
    "dpm_multistep-10": ("DPMSolverMultistepScheduler", 10, {}),
    "dpm_multistep-25": ("DPMSolverMultistepScheduler", 25, {}),
    "dpm_multistep-25-karras": ("DPMSolverMultistepScheduler", 25, {"use_karras_sigmas": True}),
    "unipc-10": ("UniPCMultistepScheduler", 10, {}),
    "pndm-25": ("PNDMScheduler", 25, {}),
}


@dataclass(frozen=True)
class Quality:
    """The verdict on a set of samples.

    Attributes:
        accuracy: part of the samples that the classifier reads as the digit asked for.
        diversity: per digit, the pixels' mean variance over the samples, as part of that over the real digits.
        distance: root mean square difference between a sample and its nearest training image, least over samples.
    """

    accuracy: float
    diversity: tuple[float, ...]
    distance: float

    @property
    def passes(self) -> bool:
        """Whether all three bars are met."""
        enough = self.accuracy >= MIN_ACCURACY and min(self.diversity) >= MIN_DIVERSITY
        return enough and self.distance >= MIN_DISTANCE


@cache
def classifier() -> Any:
    """A support vector machine (rbf, gamma 0.001) trained on all real digits, 8x8 pixels of 0 to 16."""
    from sklearn.svm import SVC

    images, labels = data.load()
    return SVC(gamma=0.001).fit(images.flatten(1).numpy(), labels.numpy())


def judge(samples: Tensor, labels: Tensor) -> Quality:
    """Judge samples (B, 1, 16, 16) in [-1, 1] that were asked to be the digits `labels` (B,) int64."""
    small, (real, real_labels) = data.reduce(samples).flatten(1), data.load()
    read = torch.as_tensor(classifier().predict(small.numpy()))
    diversity = []
    for digit in range(10):
        drawn = small[labels == digit].var(dim=0, correction=0).mean()
        diversity.append(float(drawn / real.flatten(1)[real_labels == digit].var(dim=0, correction=0).mean()))
    exact = "donot_use_mm_for_euclid_dist"
    apart = torch.cdist(samples.flatten(1), data.enlarge(real).flatten(1), compute_mode=exact)
    nearest = apart.min() / samples[0].numel() ** 0.5
    return Quality(float((read == labels).float().mean()), tuple(diversity), float(nearest))


def hundred_labels() -> Tensor:
    """Ten of each digit: (100,) int64."""
    return torch.arange(10).repeat_interleave(10)


@torch.no_grad()
def sample(
    model: DigitsUNet, labels: Tensor, sampler: str = "ddim-25", seed: int = 0, scale: float = GUIDANCE_SCALE
) -> Tensor:
    """Draw one image for each label: (B,) int64 -> (B, 1, 16, 16)."""
    import diffusers

    name, steps, options = SAMPLERS[sampler]
    scheduler = getattr(diffusers, name)(**options)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    x: Tensor = torch.randn(len(labels), 1, 16, 16, generator=generator) * scheduler.init_noise_sigma
    both = torch.cat([torch.full_like(labels, NULL_CLASS), labels])
    draws = {"generator": generator} if name in ("DDPMScheduler", "EulerAncestralDiscreteScheduler") else {}
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, t)
        rows = torch.full((len(both),), float(t))
        unconditional, conditional = model(torch.cat([scaled, scaled]), rows, both).chunk(2)
        eps = unconditional + scale * (conditional - unconditional)
        x = scheduler.step(eps, t, x, **draws).prev_sample
    return x


def main() -> None:
    """Print one line per sampler and seed."""
    parser = argparse.ArgumentParser(description="Judge the built-in digits model.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--guidance-scale", type=float, default=GUIDANCE_SCALE)
    parser.add_argument("--samplers", nargs="+", default=["ddim-25"], choices=[*SAMPLERS, "all"])
    arguments = parser.parse_args()
    model, labels = digits(), hundred_labels()
    names = list(SAMPLERS) if "all" in arguments.samplers else arguments.samplers
    print(f"{'sampler':24} seed  accuracy  diversity least, mean  distance  verdict")
    for name in names:
        for seed in range(arguments.seeds):
            q = judge(sample(model, labels, name, seed, arguments.guidance_scale), labels)
            spread = f"{min(q.diversity):.2f}, {sum(q.diversity) / 10:.2f}"
            verdict = "pass" if q.passes else "FAIL"
            print(f"{name:24} {seed:4}  {q.accuracy:8.2f}  {spread:>21}  {q.distance:8.3f}  {verdict}")


if __name__ == "__main__":
    main()
