"""What each front gives, worked out where it does not say so, and whether anything takes it."""

from __future__ import annotations

from collections.abc import Sequence

from samplegraph.models.stages.front import Front
from samplegraph.schedulers import OptionError
from samplegraph.schedulers.errors import suggest


def resolved(fronts: Sequence[Front], takes: Sequence[str] | None, own: Sequence[str]) -> tuple[Front, ...]:
    """``fronts`` with the names of what they give.

    Args:
        takes: names of the model's conditions; None for any.
        own: names of further inputs of the sampler.

    Raises:
        OptionError: what one gives cannot be worked out, nothing takes it, or it hides something else of that name.
    """
    made: list[Front] = []
    for k, front in enumerate(fronts):
        later = [name for each in fronts[k + 1 :] for name in each.inputs]
        taken = {name for each in (*made, *fronts[k + 1 :]) for name in each.spec.gives or ()}
        if front.spec.gives is None:
            front = front.giving(_worked_out(front, later, taken, takes))
        for name in front.gives:
            _check(front, name, later, takes, own)
        hidden = {name for each in made for name in (*each.inputs, *each.gives)} - set(front.inputs)
        if clash := sorted(hidden & set(front.gives)):
            what = "which an earlier pre module takes or gives"
            raise OptionError(f"{front.label} gives {clash[0]!r}, {what}; rename it")
        made.append(front)
    return tuple(made)


def _worked_out(front: Front, later: Sequence[str], taken: set[str], takes: Sequence[str] | None) -> str:
    names = list(front.inputs)
    if len(names) == 1 and names[0] in (*later, *(takes or ())):
        return names[0]
    free = [name for name in takes or () if name not in taken and name not in later]
    if len(free) == 1:
        return free[0]
    known = "any condition" if takes is None else ", ".join(free) or "no further condition"
    raise OptionError(
        f"{front.label}: which condition it gives is not known, since the model takes {known}; declare "
        "spec = FrontSpec(gives=...) on the module"
    )


def _check(front: Front, name: str, later: Sequence[str], takes: Sequence[str] | None, own: Sequence[str]) -> None:
    if takes is None or name in (*later, *takes, *own):
        return
    known = [*takes, *own]
    raise OptionError(
        f"{front.label} gives {name!r}, which the model does not take; it takes {', '.join(known) or 'no conditions'}"
        f"{suggest(name, known)}"
    )
