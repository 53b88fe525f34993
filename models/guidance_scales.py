"""Which guidance scale each evaluation of a sampler takes, and which evaluations have no unconditional branch."""

from __future__ import annotations

import numpy as np

from samplegraph.models.guidance import Guidance
from samplegraph.schedulers import Grid, OptionError, Profile, Scheduler

#: What an evaluation is guided with: ``INPUT``, a float, or None where it is the conditional prediction alone.
PointScale = float | str | None


def point_scales(guidance: Guidance, scheduler: Scheduler, profile: Profile) -> dict[int, PointScale]:
    """The scale at each grid point where the model is evaluated.

    A point belongs to the step that begins there, else to the first that evaluates it, so that both evaluations of
    Heun's method at one point agree.

    Raises:
        OptionError: a list of scales of the wrong length, an interval that covers no evaluation, or a scheduler that
            reads the unconditional prediction where there is none.
    """
    steps = _steps_of(profile)
    if isinstance(guidance.scale, tuple):
        _check_list(guidance.scale, scheduler, profile)
    found: dict[int, PointScale] = {}
    for point, step in steps.items():
        scale = guidance.scale[step] if isinstance(guidance.scale, tuple) else guidance.scale
        middle = (step + 0.5) / len(profile.evaluations)
        inside = guidance.interval is None or guidance.interval.covers(_ratio(scheduler.grid, point), middle)
        found[point] = scale if inside and (scale != 1 or scheduler.apart) else None
    if guidance.interval is not None and guidance.scale is not None and not any(s is not None for s in found.values()):
        ratios = [_ratio(scheduler.grid, point) for point in steps]
        raise OptionError(
            f"guidance_interval={guidance.interval} covers no guided evaluation: the {len(ratios)} points lie at sigma "
            f"{max(ratios):.4g} to {min(ratios):.4g}; widen it, or leave guidance out (guidance_scale none)"
        )
    if scheduler.apart and None in found.values():
        interval = guidance.interval
        why = "there is no guidance" if interval is None else f"guidance_interval={interval} omits some"
        raise OptionError(
            f"{scheduler.name} with cfg_pp reads the unconditional prediction in every evaluation, and {why}; give a "
            "guidance_scale and no interval, or cfg_pp=False"
        )
    return found


def _steps_of(profile: Profile) -> dict[int, int]:
    """The step that each point belongs to."""
    begins: dict[int, int] = {}
    for step, points in enumerate(profile.evaluations):
        if points:
            begins.setdefault(points[0], step)
    for step, points in enumerate(profile.evaluations):
        for point in points:
            begins.setdefault(point, step)
    return begins


def _check_list(scales: tuple[float, ...], scheduler: Scheduler, profile: Profile) -> None:
    if len(scales) != scheduler.steps:
        raise OptionError(
            f"guidance_scale has {len(scales)} entries, and {scheduler.name} {scheduler.steps} steps; give one for each"
        )
    begun: dict[int, int] = {}
    for step, points in enumerate(profile.evaluations):
        first = begun.setdefault(points[0], step) if points else step
        if scales[first] != scales[step]:
            raise OptionError(
                f"guidance_scale: steps {first} and {step} of {scheduler.name} begin at the same point; give both the "
                f"same scale instead of {scales[first]:g} and {scales[step]:g}"
            )


def _ratio(grid: Grid, point: int) -> float:
    with np.errstate(divide="ignore"):
        return float(grid.sigma[point] / grid.alpha[point])
