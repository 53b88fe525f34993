"""Writes the manifest of a compiled sampler."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from samplegraph.export.sampling.part import Part
from samplegraph.export.sampling.plain import plain
from samplegraph.export.signature import Signature
from samplegraph.models import Sampler
from samplegraph.models.guidance import INPUT
from samplegraph.runtime.manifest import (
    BindingCost,
    Evaluation,
    GuidancePlan,
    Manifest,
    Model,
    NoisePlan,
    SchedulerInfo,
    Stage,
    Tables,
    Weights,
)
from samplegraph.schedulers.plans.plan import NotAffineError, plan


def describe(
    sampler: Sampler,
    sig: Signature,
    name: str,
    layout: str,
    weights: Weights,
    versions: Mapping[str, str],
    part: Part,
) -> Manifest:
    """Everything a runtime has to know about one graph of ``sampler`` in the given layout."""
    scheduler, spec, profile, post = sampler.scheduler, sampler.spec, sampler.profile, sampler.post
    schedule = asdict(spec.noise_schedule) if spec.noise_schedule is not None else None
    draws = tuple(step for step, count in enumerate(profile.draws) for _ in range(count))
    return Manifest(
        name=name,
        layout=layout,
        model=Model(spec.name, sampler.denoiser.prediction_type, spec.timestep_dtype, schedule),
        scheduler=SchedulerInfo(
            scheduler.name, plain(scheduler.config), scheduler.steps, profile.nfe, scheduler.order, sampler.task.begin
        ),
        tables=replace(_tables(sampler), visited=part.visited),
        guidance=_guidance(sampler, sig),
        noise=NoisePlan(profile.noise_slices, draws, scheduler.init_noise_sigma, scheduler.noise_kind),
        inputs=part.segment.inputs,
        outputs=part.segment.outputs,
        weights=weights,
        versions=versions,
        bindings={name: BindingCost(**asdict(cost)) for name, cost in part.bindings.items()},
        specialised=part.counts,
        caller=sig.edge.inputs if part.chunk or part.recurrence else (),
        chunk=part.chunk,
        recurrence=part.recurrence,
        task=sampler.task.kind,
        results=(sig.edge.output,) if part.segment.outputs[0] != sig.edge.output else (),
        pre=tuple(Stage(each.source, tuple(each.inputs), each.gives) for each in sampler.entrance.inlet.fronts),
        post=Stage(post.source, (sig.output.name,), (sig.edge.output.name,)) if post is not None else None,
        sample=sig.output if post is not None else None,
    )


def _tables(sampler: Sampler) -> Tables:
    grid = sampler.scheduler.grid
    seen, scale = sampler.denoiser.timesteps, sampler.denoiser.input_scale
    evaluations = tuple(
        Evaluation(step, float(seen[i]), float(grid.alpha[i]), float(grid.sigma[i]), float(scale[i]))
        for step, points in enumerate(sampler.profile.evaluations)
        for i in points
    )
    timesteps, alphas, sigmas = (tuple(map(float, t)) for t in (grid.timesteps, grid.alpha, grid.sigma))
    try:
        coefficients = plan(sampler.scheduler, sampler.denoiser.output_is)
    except NotAffineError:
        return Tables(timesteps, alphas, sigmas, evaluations, _digest(sampler))
    rows = tuple(
        {name: c for name, c in zip(coefficients.basis, step.x, strict=True) if c} for step in coefficients.steps
    )
    return Tables(timesteps, alphas, sigmas, evaluations, coefficients.digest(), rows)


def _digest(sampler: Sampler) -> str:
    """For a sampler without a plan: SHA-256 over the grid and the scheduler's options."""
    grid = sampler.scheduler.grid
    digest = hashlib.sha256()
    for table in (grid.timesteps, grid.alpha, grid.sigma, grid.alpha_next, grid.sigma_next):
        digest.update(table.astype("<f8").tobytes())
    own = {"scheduler": sampler.scheduler.name, "config": plain(sampler.scheduler.config)}
    digest.update(json.dumps(own, sort_keys=True).encode())
    return digest.hexdigest()


def _guidance(sampler: Sampler, sig: Signature) -> GuidancePlan:
    if not sig.guided:
        return GuidancePlan("none")
    guidance = sampler.guidance
    points = (point for points in sampler.profile.evaluations for point in points)
    each = [sampler.denoiser.scale_at(point) for point in points]
    scales = tuple(1.0 if scale is None else None if scale == INPUT else float(scale) for scale in each)
    interval = str(guidance.interval) if guidance.interval is not None else None
    if isinstance(guidance.scale, tuple):
        return GuidancePlan("per_step", None, sig.guided, scales, interval, guidance.rescale)
    mode = "input" if guidance.scale == INPUT else "baked"
    scale = sampler.spec.guidance_scale if guidance.scale == INPUT else float(guidance.scale or 0.0)
    return GuidancePlan(mode, scale, sig.guided, scales if len(set(scales)) > 1 else (), interval, guidance.rescale)
