"""What is known of a scheduler without reading its code: what ``samplegraph list`` and docs/schedulers.md show."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from samplegraph.export.cli.list_options import Option, options_of
from samplegraph.models.demo import demo_source
from samplegraph.schedulers import (
    NotAffineError,
    OptionError,
    Scheduler,
    compatibles,
    create,
    plan,
    scheduler_class,
)

#: Step counts at which a scheduler with default options is looked at; at the last one what is no straight line.
COUNTS = (8, 12, 25)


@dataclass(frozen=True)
class Facts:
    """A scheduler at its default options.

    Attributes:
        nfe, noise: evaluations and noise slices of N steps, such as ``"2N - 1"``.
        state: number of tensors that a step hands to the next besides the sample.
        affine: whether steps are linear combinations, which a table of coefficients can drive.
        inputs: inputs of the graph that it asks for besides noise.
        model: the built-in model it is shown with.
    """

    name: str
    summary: str
    description: tuple[str, ...]
    order: int | None
    nfe: str
    noise: str
    noise_kind: str
    state: int | None
    affine: bool
    paper: str
    diffusers: str | None
    k_diffusion: str | None
    inputs: tuple[str, ...]
    model: str
    compatibles: tuple[str, ...]

    @property
    def options(self) -> tuple[Option, ...]:
        """All its options."""
        return options_of(self.name)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items() if k != "description"}
        return {**plain, "options": {each.name: each.to_json() for each in self.options}}


def facts_of(name: str) -> Facts:
    """Look at scheduler ``name``.

    Raises:
        OptionError: no such scheduler.
    """
    cls = scheduler_class(name)
    body = inspect.cleandoc(cls.__doc__ or "").partition("\nArgs:\n")[0]
    paragraphs = tuple(" ".join(part.split()) for part in body.strip().split("\n\n"))
    made = {n: scheduler for n in COUNTS if (scheduler := _created(name, n))}
    last = made[max(made)] if made else None
    return Facts(
        name=name,
        summary=paragraphs[0],
        description=paragraphs,
        order=last.order if last else None,
        nfe=_law(made, lambda s: s.profile().nfe),
        noise=_law(made, lambda s: s.profile().noise_slices),
        noise_kind=cls.noise_kind,
        state=len(last.init(torch.zeros(1))) if last else None,
        affine=last is not None and _is_affine(last),
        paper=cls.paper,
        diffusers=cls.diffusers_class,
        k_diffusion=cls.k_diffusion,
        inputs=tuple(each.name for each in cls.inputs),
        model=demo_source(name),
        compatibles=compatibles(name),
    )


def _created(name: str, steps: int) -> Scheduler | None:
    try:
        return create(name, steps)
    except OptionError:  # one that cannot do so many steps, or needs options
        return None


def _law(made: dict[int, Scheduler], count: Callable[[Scheduler], int]) -> str:
    """``count`` as a function of N, if it is a straight line through what was made."""
    points = {n: count(scheduler) for n, scheduler in made.items()}
    if not points:
        return "-"
    (first, low), *_, (last, high) = points.items()
    slope = (high - low) // (last - first) if last > first else 0
    offset = low - slope * first
    if len(points) < len(COUNTS) or any(value != slope * n + offset for n, value in points.items()):
        return f"{high} at N = {last}"
    if slope == 0:
        return str(offset)
    sign = "" if offset == 0 else f" {'+' if offset > 0 else '-'} {abs(offset)}"
    return f"{slope if slope > 1 else ''}N{sign}"


def _is_affine(scheduler: Scheduler) -> bool:
    try:
        plan(scheduler)
    except NotAffineError:
        return False
    return True
