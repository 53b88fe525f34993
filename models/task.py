"""What a sampler is for: where its first sample comes from, and what is put back after each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from samplegraph.schedulers import OptionError, Scheduler, first_step, starting_at
from samplegraph.schedulers.base import Input, Noise
from samplegraph.schedulers.catalogue.starting import refuse_start
from samplegraph.schedulers.vector import X

NOISE, INIT, MASK = "noise", "init_sample", "mask"

Kind = Literal["generate", "image_to_image", "inpaint", "invert"]

_IMAGE = Input(INIT, "the clean sample that the run starts from, scaled as the model's own samples are")
_KNOWN = Input(INIT, "the clean sample whose places with mask 0 are kept")
_GIVEN = Input(INIT, "the clean sample that is led back to its noise")
_MASK = Input(MASK, "1 where the sample is made anew, 0 where it is kept", one_channel=True, minimum=0, maximum=1)


@dataclass(frozen=True)
class Task:
    """``generate`` starts from noise; ``image_to_image`` from ``init_sample`` with the noise of step ``begin`` added
    (SDEdit, Meng et al. 2022, arXiv:2108.01073); ``inpaint`` from either, and puts the known part back after every
    step (Lugmayr et al. 2022, arXiv:2201.09865, eq. 8, without resampling); ``invert`` from ``init_sample`` itself.

    ``strength`` is what the caller gave in place of ``begin``, None where he gave none.
    """

    kind: Kind = "generate"
    begin: int = 0
    strength: float | None = None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What the task asks for besides noise."""
        own = {"image_to_image": (_IMAGE,), "inpaint": (_KNOWN, _MASK), "invert": (_GIVEN,)}
        return own.get(self.kind, ())

    @property
    def draws(self) -> bool:
        """Whether the first sample holds noise."""
        return self.kind != "invert"

    def first_sample(self, scheduler: Scheduler, given: Mapping[str, X], draw: Noise[X]) -> tuple[X, Noise[X]]:
        """The sample at step ``begin`` (B, ...), from ``noise`` and ``init_sample``, and where the steps draw from."""
        if self.kind == "invert":
            return given[INIT], draw
        if self.kind == "image_to_image" or self.begin:
            return scheduler.add_noise(given[INIT], given[NOISE], self.begin), draw
        return scheduler.start(given[NOISE], draw)

    def after_step(self, scheduler: Scheduler, i: int, x: X, given: Mapping[str, X]) -> X:
        """The sample at step ``i + 1``: inpainting puts what is kept back, as noisy as the rest."""
        if self.kind != "inpaint":
            return x
        known: Any = given[INIT]
        if i + 1 < scheduler.steps:
            known = scheduler.add_noise(given[INIT], given[NOISE], i + 1)
        mask: Any = given[MASK]
        anew: X = mask * x + (1 - mask) * known
        return anew


def task_of(scheduler: Scheduler, strength: float | None, begin: int | None, inpaint: bool) -> tuple[Task, Scheduler]:
    """The task that these arguments ask for, and the scheduler that begins where it does.

    Raises:
        OptionError: both are given, a value is out of range, or the scheduler cannot do it.
    """
    if not isinstance(inpaint, bool):
        raise OptionError(f"inpaint={inpaint!r} is not allowed; give true or false")
    if strength is not None and begin is not None:
        raise OptionError(f"strength={strength!r} and begin={begin!r} are both given; give one of them")
    for name, value in (("strength", strength), ("begin", begin), ("inpaint", inpaint or None)):
        if value is not None:
            refuse_start(scheduler, f"{name}={value!r}")
    if scheduler.inverts:
        return Task("invert"), scheduler
    if strength is not None:
        step = first_step(strength, scheduler.steps)
    else:
        step = begin if begin is not None else 0
    scheduler = starting_at(scheduler, step) if strength is not None or begin is not None else scheduler
    started = strength is not None or begin is not None
    kind: Kind = "inpaint" if inpaint else "image_to_image" if started else "generate"
    return Task(kind, step, strength), scheduler
