"""The plan: the exact float64 coefficients of a whole sampler, read off by running it on symbols."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from samplegraph.schedulers.base import Scheduler
from samplegraph.schedulers.plans.affine import Affine
from samplegraph.schedulers.prediction import Parameterisation, Prediction

Row = tuple[float, ...]


class NotAffineError(TypeError):
    """The sampler is more than linear combinations of its inputs and outputs, or a coefficient is not finite."""


@dataclass(frozen=True)
class Evaluation:
    """One call of the network: at grid point ``point`` it is shown ``input``, and ``x0`` is then predicted.

    Where the scheduler clips, ``x0`` is the prediction before that, and ``clean_j`` of the basis after it.
    """

    point: int
    input: Row
    x0: Row


@dataclass(frozen=True)
class PlanStep:
    """One step: its evaluations in order, then the next sample and solver state as rows over the basis."""

    evaluations: tuple[Evaluation, ...]
    x: Row
    state: tuple[Row, ...]
    draws: int

    def rows(self) -> Iterable[Row]:
        """All rows, in order."""
        for e in self.evaluations:
            yield e.input
            yield e.x0
        yield self.x
        yield from self.state


@dataclass(frozen=True)
class Plan:
    """Steps as rows over ``basis``: ``x``, ``state_0``.., ``output_0``.. (the network's output in each evaluation of
    the step, guided), ``clean_0``.. (where x0 is clipped to +-``clip``), ``uncond_0``.. (that of the unconditional
    branch, where the scheduler reads it ``apart``), ``noise_0``.. (the step's draws).

    The first sample is ``init_noise_sigma`` times unit noise, the first state all zeros.
    """

    basis: tuple[str, ...]
    steps: tuple[PlanStep, ...]
    init_noise_sigma: float
    clip: float | None

    def digest(self) -> str:
        """SHA-256 over the basis and every coefficient as little-endian float64."""
        sha = hashlib.sha256(repr((self.basis, self.clip, self.init_noise_sigma)).encode())
        for step in self.steps:
            sha.update(repr(([e.point for e in step.evaluations], step.draws)).encode())
            for row in step.rows():
                sha.update(struct.pack(f"<{len(row)}d", *(c + 0.0 for c in row)))
        return sha.hexdigest()


def plan(scheduler: Scheduler, network: Parameterisation | str | None = None) -> Plan:
    """Read the plan of ``scheduler`` off one run on ``Affine`` symbols.

    Args:
        network: what its output means, or the prediction type of one made for this grid; None takes the prediction
            type that the scheduler was given, else its default one.

    Raises:
        NotAffineError: the scheduler thresholds, multiplies samples, gives an infinite coefficient, or samples tokens.
    """
    if scheduler.classes:
        raise NotAffineError(f"{scheduler.name} samples tokens, which are no vectors")
    if not isinstance(network, Parameterisation):
        kind = network or scheduler.prediction.prediction_type or scheduler.default_prediction_type
        network = Parameterisation.of(scheduler.grid, kind)
    if scheduler.prediction.thresholding:
        raise NotAffineError(f"{scheduler.name} with thresholding is not affine")
    try:
        steps = [_read_step(scheduler, network, i) for i in scheduler.indices]
    except (TypeError, AttributeError, ZeroDivisionError, OverflowError) as error:
        raise NotAffineError(f"{scheduler.name} is not affine: {error}") from error
    clip = scheduler.prediction.clip_sample_range if scheduler.prediction.clip_sample else None
    calls = max(len(step.points) for step in steps)
    sizes = {"state": len(steps[0].state), "output": calls, "clean": calls if clip is not None else 0}
    sizes["uncond"] = calls if scheduler.apart else 0
    sizes["noise"] = max(step.draws for step in steps)
    basis = ("x", *(f"{kind}_{j}" for kind, size in sizes.items() for j in range(size)))
    return Plan(basis, tuple(step.over(basis) for step in steps), scheduler.init_noise_sigma, clip)


class _Reading:
    """A step's symbols while it is read."""

    def __init__(self) -> None:
        self.points: list[int] = []
        self.inputs: list[Affine] = []
        self.x0s: list[Affine] = []
        self.draws = 0
        self.x = Affine()
        self.state: tuple[Affine, ...] = ()

    def over(self, basis: tuple[str, ...]) -> PlanStep:
        evaluations = tuple(
            Evaluation(point, _row(basis, seen), _row(basis, x0))
            for point, seen, x0 in zip(self.points, self.inputs, self.x0s, strict=True)
        )
        return PlanStep(evaluations, _row(basis, self.x), tuple(_row(basis, s) for s in self.state), self.draws)


def _read_step(scheduler: Scheduler, network: Parameterisation, i: int) -> _Reading:
    reading = _Reading()

    def denoise(x: Affine, point: int) -> Prediction[Affine]:
        j = len(reading.points)
        reading.points.append(point)
        reading.inputs.append(float(network.input_scale[point]) * x)
        p = network.read(x, Affine.symbol(f"output_{j}"), point)
        reading.x0s.append(p.x0)
        if scheduler.apart:
            p = replace(p, uncond=network.read(x, Affine.symbol(f"uncond_{j}"), point))
        if not scheduler.prediction.clip_sample:
            return p
        return replace(p, x0=Affine.symbol(f"clean_{j}"))

    def noise() -> Affine:
        reading.draws += 1
        return Affine.symbol(f"noise_{reading.draws - 1}")

    x = Affine.symbol("x")
    state = tuple(Affine.symbol(f"state_{j}") for j in range(len(scheduler.init(x))))
    reading.x, reading.state = scheduler.step(i, x, state, denoise, noise)
    return reading


def combine(basis: Iterable[str], row: Row, values: Mapping[str, Affine]) -> Affine:
    """The linear combination of ``values``, by name of the basis, that ``row`` holds."""
    total = Affine()
    for name, coefficient in zip(basis, row, strict=True):
        if coefficient != 0.0:
            total = total + coefficient * values[name]
    return total


def _row(basis: tuple[str, ...], value: Affine) -> Row:
    row = tuple(value[name] for name in basis)
    if not all(abs(c) < float("inf") for c in row):
        raise NotAffineError(f"a coefficient is not finite: {value!r}")
    return row
