"""The coefficient tables that drive a graph of one evaluation, for one or several step counts of a sampler."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from samplegraph.export.errors import ExportError
from samplegraph.export.sampling.layout import Layout
from samplegraph.export.sampling.plain import plain
from samplegraph.models import Sampler
from samplegraph.models.task import INIT, NOISE
from samplegraph.runtime.manifest import CoefficientTable, Recurrence
from samplegraph.schedulers import Affine
from samplegraph.schedulers.plans.plan import NotAffineError, plan
from samplegraph.schedulers.plans.recurrence import Recurrence as Reading
from samplegraph.schedulers.plans.recurrence import recurrence


def recurrent_tables(samplers: Sequence[Sampler], layout: Layout) -> Recurrence:
    """The tables of ``samplers``, which differ in their number of steps only, over common registers.

    Raises:
        ExportError: the scheduler is not affine, the model's output holds a variance, or a table would not fit.
    """
    if len(samplers) > 1 and samplers[0].denoiser.told:
        raise ExportError(
            "steps: the network is told, or weighed by, what follows from the number of steps; export one file for each"
        )
    readings = [_reading(sampler, layout) for sampler in samplers]
    registers = max((r.registers for r in readings), key=len)
    registers += tuple(sorted({name for r in readings for name in r.registers} - set(registers)))
    slices = max(r.slices for r in readings)
    tables = [_table(s, r, registers, slices) for s, r in zip(samplers, readings, strict=True)]
    return Recurrence(registers, slices, readings[0].clip, sampler_digest(samplers[0]), tuple(tables))


def further_table(sampler: Sampler, known: Recurrence) -> CoefficientTable:
    """The table of ``sampler`` for a graph that was made for ``known``.

    Raises:
        ExportError: it is another sampler, or it remembers or draws more than the graph holds.
    """
    if sampler_digest(sampler) != known.sampler:
        raise ExportError("the graph was made for another sampler; export it again")
    reading = _reading(sampler, Layout("step"))
    try:
        return _table(sampler, reading, known.registers, known.slices)
    except ValueError as error:
        steps = sampler.scheduler.steps
        raise ExportError(
            f"steps={steps} needs more than the graph holds ({error}); export it with --steps {steps}"
        ) from error


def sampler_digest(sampler: Sampler) -> str:
    """SHA-256 over all that the tables depend on besides the number of steps."""
    spec, scheduler = sampler.spec, sampler.scheduler
    own = {
        "scheduler": scheduler.name,
        "config": plain(scheduler.config),
        "prediction_type": sampler.denoiser.prediction_type,
        "timestep_dtype": spec.timestep_dtype,
        "noise_schedule": plain(vars(spec.noise_schedule)) if spec.noise_schedule else None,
    }
    if sampler.denoiser.told:
        own["steps"] = scheduler.steps  # what the network holds of them is in the graph
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def drives(sampler: Sampler) -> bool:
    """Whether tables of coefficients can drive ``sampler``, as layouts ``step`` and ``loop`` need."""
    try:
        _reading(sampler, Layout("step"))
    except ExportError:
        return False
    return True


def _reading(sampler: Sampler, layout: Layout) -> Reading:
    scheduler, denoiser = sampler.scheduler, sampler.denoiser
    remedy = f"choose layout 'unrolled' or 'chunked:K' for {scheduler.name}"
    if denoiser.splits or denoiser.input_shift:
        what = "the model's output holds a variance" if denoiser.splits else "the model's input is shifted"
        raise ExportError(f"layout={str(layout)!r} needs steps that are linear in the model's output: {what}; {remedy}")
    if sampler.task.kind == "inpaint":
        raise ExportError(f"layout={str(layout)!r} cannot put the known part back after a step; {remedy}")
    if scheduler.apart:
        raise ExportError(f"layout={str(layout)!r} cannot read the unconditional prediction, as cfg_pp does; {remedy}")
    if len({denoiser.scale_at(point) for point in sampler.profile.points}) > 1:
        raise ExportError(
            f"layout={str(layout)!r} has one guidance scale for all evaluations; leave out the interval or the list of "
            "scales, or choose layout 'unrolled' or 'chunked:K'"
        )
    try:
        return recurrence(plan(scheduler, denoiser.output_is), sampler.task.begin)
    except NotAffineError as error:
        raise ExportError(f"layout={str(layout)!r} needs an affine scheduler, and {error}; {remedy}") from error


def _table(sampler: Sampler, reading: Reading, registers: Sequence[str], slices: int) -> CoefficientTable:
    rows = np.asarray(reading.table(registers, slices), dtype=np.float64)
    seen, task = sampler.denoiser.timesteps, sampler.task
    given = {NOISE: Affine.symbol(NOISE), INIT: Affine.symbol(INIT)}
    first, _ = task.first_sample(sampler.scheduler, given, lambda: Affine())
    return CoefficientTable(
        steps=sampler.scheduler.steps,
        init_noise_sigma=first[NOISE],
        init_sample_scale=first[INIT],
        noise_slices=sampler.profile.noise_slices,
        step_of=tuple(call.step for call in reading.calls),
        timesteps=tuple(float(seen[call.point]) for call in reading.calls),
        slices=tuple(call.slices for call in reading.calls),
        coefficients=tuple(tuple(tuple(map(float, row)) for row in call) for call in rows),
    )
