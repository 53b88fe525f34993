"""A third reading of a plan: one evaluation after another, as a host loop or an ONNX ``Loop`` makes them.

Between two evaluations everything that is remembered stands in *registers*: the sample, the solver's state and, within
a step of several evaluations, the outputs of the earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from samplegraph.schedulers.grids.grid import Array
from samplegraph.schedulers.plans.affine import Affine
from samplegraph.schedulers.plans.plan import Plan, combine

#: The symbols of a call's basis that are neither registers nor draws.
OUTPUT, X0 = "output", "x0"


@dataclass(frozen=True)
class Call:
    """One evaluation at grid point ``point`` of step ``step``; ``slices`` are the draws that it reads.

    ``input`` and ``x0`` are what the network is shown and what is then predicted, ``registers`` the next ones.
    """

    step: int
    point: int
    input: Affine
    x0: Affine
    registers: dict[str, Affine]
    slices: tuple[int, ...]


@dataclass(frozen=True)
class Recurrence:
    """A sampler as E linear maps on ``registers``, of which the first is the sample; the others start at zero."""

    registers: tuple[str, ...]
    calls: tuple[Call, ...]
    init_noise_sigma: float
    clip: float | None

    @property
    def slices(self) -> int:
        """The most draws that one call reads."""
        return max((len(call.slices) for call in self.calls), default=0)

    def table(self, registers: Sequence[str], slices: int) -> Array:
        """Coefficients (E, 2 + R, R + slices + 2) of every call in float64.

        Rows: the network's input, x0, and the next registers. Columns: ``registers``, draws, output, x0 after clipping.

        Raises:
            ValueError: this sampler remembers or draws more than that.
        """
        missing = [name for name in self.registers if name not in registers]
        if missing or self.slices > slices:
            raise ValueError(", ".join(missing) or f"{self.slices} draws in an evaluation")
        table = np.zeros((len(self.calls), 2 + len(registers), len(registers) + slices + 2))
        for e, call in enumerate(self.calls):
            basis = [*registers, *(f"slice_{k}" for k in call.slices)]
            basis += [""] * (len(registers) + slices - len(basis)) + [OUTPUT, X0]
            rows = (call.input, call.x0, *(call.registers.get(name, Affine()) for name in registers))
            table[e] = [[row[name] for name in basis] for row in rows]
        return table


def recurrence(plan: Plan, begin: int = 0) -> Recurrence:
    """The plan of a sampler that begins at step ``begin``, cut after every evaluation.

    A step without evaluations is part of the evaluation before or after it.
    """
    calls: list[Call] = []
    drawn = 0
    names = [name for name in plan.basis if name == "x" or name.startswith("state_")]
    values = {name: Affine.symbol(name) for name in names}
    pending: Call | None = None  # its next registers are not known yet
    for i, step in enumerate(plan.steps, begin):
        draws = {f"noise_{j}": Affine.symbol(f"slice_{drawn + j}") for j in range(step.draws)}
        drawn += step.draws
        known = {**values, **draws}
        for j, evaluation in enumerate(step.evaluations):
            if pending is not None:
                kept = {n: v for n, v in known.items() if not n.startswith("noise_")}
                calls.append(replace(pending, registers=kept))
                known = {**{name: Affine.symbol(name) for name in kept}, **draws}
            seen = combine(plan.basis, evaluation.input, known)
            known[f"output_{j}"] = Affine.symbol(OUTPUT)
            pending = Call(i, evaluation.point, seen, combine(plan.basis, evaluation.x0, known), {}, ())
            known[f"clean_{j}"] = Affine.symbol(X0)
        rows = zip(names, (step.x, *step.state), strict=True)
        values = {name: combine(plan.basis, row, known) for name, row in rows}
    assert pending is not None
    calls.append(replace(pending, registers=values))
    live = _live(calls)
    order = sorted({name for c in calls for name in c.registers if name in live} - {"x"}, key=_natural)
    return Recurrence(("x", *order), tuple(_kept(c, live) for c in calls), plan.init_noise_sigma, plan.clip)


def _live(calls: Sequence[Call]) -> set[str]:
    """The registers that reach the network or the sample."""
    live = {"x", *(name for c in calls for name in (*_names(c.input), *_names(c.x0)))}
    while True:
        more = {n for c in calls for name, row in c.registers.items() if name in live for n in _names(row)}
        if more <= live:
            return live
        live |= more


def _names(row: Affine) -> Iterator[str]:
    return (name for name, c in row.terms.items() if c != 0.0)


def _kept(call: Call, live: set[str]) -> Call:
    """``call`` with its live registers and the draws that it then reads."""
    registers = {name: row for name, row in call.registers.items() if name in live}
    names = {name for row in (call.input, call.x0, *registers.values()) for name in _names(row)}
    slices = sorted(int(name.removeprefix("slice_")) for name in names if name.startswith("slice_"))
    return replace(call, registers=registers, slices=tuple(slices))


def _natural(name: str) -> tuple[bool, str, int]:
    stem, _, number = name.rpartition("_")
    return stem != "state", stem, int(number)
