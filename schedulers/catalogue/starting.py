"""Starting in the middle: which step an image is noised to, and the scheduler that runs from there."""

from __future__ import annotations

import math

from samplegraph.schedulers.base import Scheduler
from samplegraph.schedulers.catalogue.registry import build
from samplegraph.schedulers.errors import OptionError, in_range, whole


def first_step(strength: float, steps: int) -> int:
    """The step at which a run of this ``strength`` begins: it takes ``int(N * strength)`` of N, as in diffusers.

    Args:
        strength: share of the run that is taken, in (0, 1]; 1 begins at step 0.

    Raises:
        OptionError: out of range, or so small that no step is left.
    """
    if in_range("strength", strength, 0.0, 1.0) == 0:
        raise OptionError(f"strength={strength!r} is not allowed; give a number above 0, at most 1")
    taken = min(int(steps * strength), steps)
    if taken < 1:
        least = math.ceil(1e5 / steps) / 1e5
        raise OptionError(
            f"strength={strength!r} leaves int({steps} * {strength!r}) = 0 of {steps} steps to take; give at least "
            f"{least:g}, or more steps"
        )
    return steps - taken


def starting_at(scheduler: Scheduler, begin: int) -> Scheduler:
    """The same scheduler over the same N steps, of which a run takes those from ``begin`` on.

    Its solver starts without history there; what depends on N, such as ``lower_order_final``, does as before.

    Raises:
        OptionError: no such step, or a scheduler that cannot start in the middle.
    """
    if whole("begin", begin, 0) == scheduler.grid.begin:
        return scheduler
    refuse_start(scheduler, f"begin={begin}")
    if begin >= scheduler.steps:
        raise OptionError(
            f"begin={begin} of {scheduler.steps} steps leaves none to take; give 0 to {scheduler.steps - 1}"
        )
    return build(scheduler.name, scheduler.steps, scheduler.config, begin)


def refuse_start(scheduler: Scheduler, asked: str) -> None:
    """Raise where the scheduler cannot start from an image to which noise was added.

    Raises:
        OptionError: it cannot; the reason is its ``no_start``.
    """
    if scheduler.no_start:
        raise OptionError(f"{asked} is not allowed with {scheduler.name}: {scheduler.no_start}")
