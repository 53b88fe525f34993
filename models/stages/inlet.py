"""The fronts of a sampler, one after the other: from what the caller gives to what the sampler takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from samplegraph.models.guidance import NEGATIVE
from samplegraph.models.spec import Condition
from samplegraph.models.stages.front import Front
from samplegraph.models.stages.naming import resolved
from samplegraph.schedulers import OptionError

V = TypeVar("V")


class Operations(Protocol[V]):
    """What running fronts takes: on tensors, or on the values of a graph."""

    def call(self, front: Front, inputs: Mapping[str, V], twofold: bool) -> Mapping[str, V]:
        """The front's results; ``twofold`` says that it is given the rows of both branches."""

    def stack(self, uncond: V, cond: V) -> V:
        """The rows of both branches, (2B, ...)."""

    def halves(self, both: V) -> tuple[V, V]:
        """The unconditional and the conditional rows of (2B, ...)."""

    def null(self, like: V, declared: Condition) -> V:
        """The declared null value in the shape of ``like``."""


@dataclass(frozen=True)
class Branches:
    """``twofold`` says of each front whether it is run on the rows of both branches; ``twins`` are the inputs of which
    the caller gives the unconditional branch's as well."""

    twofold: tuple[bool, ...]
    twins: tuple[str, ...]


class Inlet:
    """Fronts that each read what the caller gives and what earlier ones have given, under their names.

    A front whose results differ between the branches of guidance is run once, on the rows of both, unconditional first.

    Args:
        fronts: in order.
        takes: names of the model's conditions; None for any.
        own: names of further inputs of the sampler that a front may give.
        declared: the model's conditions, as far as it declares them.

    Raises:
        OptionError: a front gives what nothing takes, or names clash.
    """

    def __init__(
        self,
        fronts: Sequence[Front],
        takes: Sequence[str] | None,
        own: Sequence[str],
        declared: Sequence[Condition] = (),
    ) -> None:
        self.fronts = resolved(fronts, takes, own)
        #: What the caller gives, by name.
        self.inputs: dict[str, Condition | None] = {}
        given: list[str] = []
        for front in self.fronts:
            for name, own_declaration in front.inputs.items():
                if name not in given:
                    self._enter(front, name, own_declaration)
            given += [name for name in front.gives if name not in given]
        read = {name for front in self.fronts for name in front.inputs}
        #: What stands for ``negative_<name>`` where the caller gives none.
        self.absent = {name: value for front in self.fronts for name, value in front.spec.absent.items()}
        #: What the sampler is given, by name.
        self.gives = tuple(n for n in given if n in own or (n not in read if takes is None else n in takes))
        for c in (*(c for front in self.fronts for c in front.inputs.values() if c), *declared):
            if c.name in self.inputs and self.inputs[c.name] is None:  # normalised, and read under its name behind that
                self.inputs[c.name] = replace(c, null=None, minimum=None, maximum=None)
        raw = [name for name in self.inputs if name not in given and takes is not None and name in (*takes, *own)]
        if raw:
            raise OptionError(f"{raw[0]!r} is an input of a pre module and of the model itself; rename one of them")

    def branches(self, guided: Collection[str]) -> Branches:
        """What has to be known in both branches where the conditions ``guided`` differ between them.

        Raises:
            OptionError: a front gives one of them, and none of its inputs differs.
        """
        both, twofold = set(guided) & set(self.gives), [False] * len(self.fronts)
        for k, front in reversed(list(enumerate(self.fronts))):
            wanted = sorted(both & set(front.gives))
            if not wanted:
                continue
            twofold[k] = True
            both -= set(front.gives)
            differ = [name for name, c in front.inputs.items() if c is None or c.guided]
            if not differ:
                raise OptionError(
                    f"{front.label} gives {wanted[0]!r}, which differs between guidance's branches, and none of its "
                    "inputs does; declare one guided=True, or leave the condition out of guided"
                )
            both |= {name for name in differ if _null(front.inputs[name]) is None}
        return Branches(tuple(twofold), tuple(name for name in self.inputs if name in both))

    def run(self, given: Mapping[str, V], guided: Collection[str], operations: Operations[V]) -> dict[str, V]:
        """What the sampler is given: the conditions of ``gives``, and ``negative_<name>`` of those in ``guided``.

        Args:
            given: the caller's inputs by name, (B, ...), and ``negative_<name>`` of those that have a twin.
        """
        branches = self.branches(guided)
        cond = {name: given[name] for name in self.inputs}
        uncond = {name: given[NEGATIVE + name] for name in branches.twins}
        for front, twofold in zip(self.fronts, branches.twofold, strict=True):
            inputs = {name: cond[name] for name in front.inputs}
            if not twofold:
                results = operations.call(front, inputs, False)
                cond.update(results)
                uncond = {name: value for name, value in uncond.items() if name not in results}
                continue
            for name, declared in front.inputs.items():
                other = uncond.get(name, inputs[name])
                if declared is not None and declared.null is not None:
                    other = operations.null(inputs[name], declared)
                elif declared is not None and not declared.guided:
                    other = inputs[name]
                inputs[name] = operations.stack(other, inputs[name])
            for name, value in operations.call(front, inputs, True).items():
                uncond[name], cond[name] = operations.halves(value)
        return {name: cond[name] for name in self.gives} | {
            NEGATIVE + name: uncond[name] for name in self.gives if name in guided
        }

    def _enter(self, front: Front, name: str, declared: Condition | None) -> None:
        known = self.inputs.get(name)
        if known is not None and declared is not None and known != declared:
            raise OptionError(
                f"{front.label} declares its input {name!r} otherwise than an earlier pre module; rename one of them"
            )
        self.inputs[name] = known or declared


def _null(declared: Condition | None) -> float | int | None:
    return None if declared is None else declared.null
