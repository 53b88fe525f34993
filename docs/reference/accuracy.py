"""How well every scheduler draws the built-in digits for a number of evaluations: measured, kept as JSON, drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from docs.reference.figure import IMAGES, new_figure, save
from samplegraph.models import Sampler
from samplegraph.models.demo import demo_model, demo_source
from samplegraph.models.digits import data
from samplegraph.models.digits.evaluate import classifier, hundred_labels
from samplegraph.schedulers import OptionError, Scheduler, create, names

#: Row -> NFE -> (part that a classifier reads as the digit asked for, variance of a digit's samples over that of
#: people's writing).
Numbers = dict[str, dict[str, tuple[float, float]]]

NUMBERS = IMAGES / "accuracy.json"
PICTURE = IMAGES / "accuracy.svg"
BUDGETS = (1, 2, 4, 8, 16, 50)
GUIDANCE = 2.0
#: Schedulers that draw no digits from noise.
APART = ("ddim_inverse", "repaint")
#: Rows besides those of default options.
VARIANTS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "pndm": ({"skip_prk_steps": True},),
    "karras_ve": ({"corrected": True},),
    "dpm_multistep": ({"respacing": "karras"},),
}


def measure(only: tuple[str, ...] = ()) -> Numbers:
    """Judge 100 samples, ten of each digit, per row and budget; of these schedulers, or of all (minutes)."""
    found = {}
    for name in (each for each in only or names() if each not in APART):
        for options in ({}, *VARIANTS.get(name, ())):
            row = ", ".join([name, *(f"{k}={v}" for k, v in options.items())])
            found[row] = {str(s.profile().nfe): _judged(s) for s in _within_budgets(name, options)}
            print(row, found[row], flush=True)
    return found


def write(numbers: Numbers) -> None:
    """Keep the numbers next to the picture."""
    rows = ",\n".join(f" {json.dumps(row)}: {json.dumps(found)}" for row, found in numbers.items())
    NUMBERS.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


def read() -> Numbers:
    """The numbers that were kept."""
    numbers: Numbers = json.loads(NUMBERS.read_text(encoding="utf-8"))
    return numbers


def draw(numbers: Numbers) -> None:
    """A row per scheduler and a column per budget, the value in every cell."""
    figure = new_figure(10.0, 0.8 + 0.27 * len(numbers))
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, numbers, 0, "read as the digit asked for", "RdYlGn", 1.0)
    _panel(right, numbers, 1, "variance within a digit / people's", "PuOr", 2.0)
    save(figure, PICTURE)


def _panel(axes: Any, numbers: Numbers, which: int, title: str, colours: str, top: float) -> None:
    cells = [[math.nan] * len(BUDGETS) for _ in numbers]
    for row, found in zip(cells, numbers.values(), strict=True):
        for nfe, values in found.items():
            row[next(j for j, budget in enumerate(BUDGETS) if int(nfe) <= budget)] = values[which]
    axes.imshow(cells, cmap=colours, vmin=0.0, vmax=top, aspect="auto", alpha=0.75)
    for i, row in enumerate(cells):
        for j, value in enumerate(row):
            if not math.isnan(value):
                text = f"{100 * value:.0f} %" if which == 0 else f"{value:.2f}"
                axes.text(j, i, text, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(BUDGETS)), [str(budget) for budget in BUDGETS])
    axes.set_yticks(range(len(numbers)), list(numbers))
    axes.set_xlabel("NFE, at most")
    axes.set_title(title)
    axes.grid(False)


def _within_budgets(name: str, options: Mapping[str, Any]) -> Iterator[Scheduler]:
    """For each budget the scheduler with the most steps that keep to it."""
    for budget in BUDGETS:
        for steps in range(budget + 1, 0, -1):
            try:
                scheduler = create(name, steps, **options)
            except OptionError:  # too few steps for it
                break
            if scheduler.profile().nfe <= budget:
                yield scheduler
                break


@torch.no_grad()
def _judged(scheduler: Scheduler) -> tuple[float, float]:
    sampler = Sampler(demo_model(scheduler.name), scheduler, GUIDANCE)
    labels, generator = hundred_labels(), torch.Generator().manual_seed(0)
    shape = (len(labels), *scheduler.noise_shape(tuple(sampler.spec.sample_shape or ())))
    draw = torch.rand if scheduler.noise_kind == "uniform" else torch.randn
    noise = draw(shape, generator=generator)
    slices = [draw(shape, generator=generator) for _ in range(sampler.profile.noise_slices)]
    samples = sampler(noise, torch.stack(slices) if slices else None, class_labels=labels)
    small = data.reduce(samples) if demo_source(scheduler.name) == "digits" else 2.0 * samples + 1.0
    small = small.flatten(1).nan_to_num().clamp(0, data.WHITE)
    right = torch.as_tensor(classifier().predict(small.numpy())) == labels
    real, real_labels = data.load()
    spread = [_variance(small[labels == d]) / _variance(real.flatten(1)[real_labels == d]) for d in range(10)]
    return round(float(right.double().mean()), 2), round(sum(spread) / 10, 2)


def _variance(images: torch.Tensor) -> float:
    return float(images.var(dim=0, correction=0).mean())
