"""From the inputs of a sampler with fronts to those of the sampler itself, guidance's branches included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from samplegraph.models.guidance import NEGATIVE, SCALE, Guidance
from samplegraph.models.spec import ModelSpec
from samplegraph.models.stages.front import Front
from samplegraph.models.stages.inlet import Inlet
from samplegraph.models.stages.tensors import OnTensors
from samplegraph.schedulers import OptionError


class Entrance:
    """The fronts of a sampler under its guidance.

    Args:
        takes: names of the model's conditions; None for any.
        own: names of the sampler's further inputs, which a front may give.

    Raises:
        OptionError: as ``Inlet`` raises.
    """

    def __init__(
        self,
        fronts: Sequence[Front],
        takes: Sequence[str] | None,
        own: Sequence[str],
        guidance: Guidance,
        spec: ModelSpec,
    ) -> None:
        self.inlet = Inlet(fronts, takes, own, spec.conditions)
        self._own, self._guidance, self._spec = tuple(own), guidance, spec

    def guided(self, given: Iterable[str]) -> list[str]:
        """The conditions from fronts that are needed in both branches of guidance.

        Args:
            given: names of the sampler's other inputs.
        """
        given = [*self.inlet.gives, *(name for name in given if name not in self.inlet.inputs)]
        names = [n for n in given if n not in (SCALE, *self._own) and not n.startswith(NEGATIVE)]
        negatives = self._guidance.negatives(names, self._spec) if self.inlet.gives else []
        return [name for name in negatives if name in self.inlet.gives]

    def inputs(self, given: Iterable[str]) -> list[str]:
        """What the fronts take: their inputs, and ``negative_<name>`` of those that differ between the branches."""
        twins = self.inlet.branches(self.guided(given)).twins
        return [*self.inlet.inputs, *(NEGATIVE + name for name in twins)]

    def encoded(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``given`` with what the fronts give in place of what they take.

        Raises:
            OptionError: an input of theirs is missing, or what they give is given too.
        """
        if not self.inlet.fronts:
            return dict(given)
        taken = self.inputs(given)
        given = {**self._absent(taken, given), **given}
        for name in taken:
            if name not in given:
                raise OptionError(f"condition {name!r} is missing; what stands in front takes {', '.join(taken)}")
        rest = {name: value for name, value in given.items() if name not in taken}
        for name in rest:
            if name.removeprefix(NEGATIVE) in (*self.inlet.gives, *self.inlet.inputs):
                instead = ", ".join(taken)
                raise OptionError(f"condition {name!r} is not used by this sampler; in its place it takes {instead}")
        return {**rest, **self.inlet.run(given, self.guided(given), OnTensors())}

    def _absent(self, taken: Sequence[str], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What stands for inputs of the unconditional branch that are not given, as rows of their twins."""
        twins = {NEGATIVE + name: (name, value) for name, value in self.inlet.absent.items() if name in given}
        return {name: torch.full_like(given[own], value) for name, (own, value) in twins.items() if name in taken}
