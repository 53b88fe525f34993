"""Makes the eager sampler again from a manifest and its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from samplegraph.export.errors import ExportError
from samplegraph.export.signature import BATCH_AXIS, Signature, signature
from samplegraph.models import Sampler
from samplegraph.models.guidance import INPUT
from samplegraph.models.spec import ModelSpec
from samplegraph.runtime.manifest import Manifest
from samplegraph.schedulers import create, option_defaults
from samplegraph.schedulers.grids.training import schedule_of


def rebuild(
    manifest: Manifest,
    model: nn.Module,
    pre: Sequence[nn.Module] = (),
    post: nn.Module | None = None,
    *,
    rows: int | None = None,
) -> tuple[Sampler, Signature]:
    """The sampler and graph signature that ``manifest`` describes, over ``model`` and the modules around it.

    Args:
        rows: of the examples, where the graph's batch is symbolic; None for the usual number.

    Raises:
        ExportError: model and modules do not take the inputs that the manifest names, or give another output.
    """
    _refuse_other_stages(manifest, pre, post)
    info = manifest.scheduler
    scheduler = create(info.name, info.steps, **_numbers(info.name, info.config))
    plan = manifest.guidance
    begin = info.begin if info.begin or manifest.task == "image_to_image" else None
    sampler = Sampler(
        model,
        scheduler,
        _scale(manifest),
        guidance_interval=plan.interval,
        guidance_rescale=plan.rescale,
        guided=plan.conditions or None,
        begin=begin,
        inpaint=manifest.task == "inpaint",
        pre=pre,
        post=post,
    )
    shape = tuple(1 if isinstance(n, str) else n for n in (manifest.sample or manifest.result).shape)
    examples = {t.name: _example(t.shape, t.dtype, t.minimum) for t in manifest.sampler_inputs if t.role == "condition"}
    batch = manifest.batch or rows or "dynamic"
    sig = signature(sampler, (1, *shape[1:]), examples, batch)
    expected, found = [t.name for t in manifest.sampler_inputs], [t.name for t in sig.edge.inputs]
    if expected != found:
        raise ExportError(f"the graph takes {', '.join(expected)}; this model makes one that takes {', '.join(found)}")
    gives, result = manifest.result, sig.edge.output
    if (gives.name, gives.shape[1:]) != (result.name, result.shape[1:]):
        what = f"the graph gives {gives.name} {gives.shape}"
        raise ExportError(f"{what}; this model makes one that gives {result.name} {result.shape}")
    return sampler, sig


def _refuse_other_stages(manifest: Manifest, pre: Sequence[nn.Module], post: nn.Module | None) -> None:
    """Modules are never made from what a manifest says: it may come from anywhere."""
    for name, stages, given in (
        ("pre", manifest.pre, len(pre)),
        ("post", [manifest.post] if manifest.post else [], int(post is not None)),
    ):
        if len(stages) != given:
            made = " ".join(f"--{name} {stage.source or '...'}" for stage in stages) or f"no --{name}"
            raise ExportError(f"{name}: {manifest.name} was made with {made}; give the same")


def without_network(manifest: Manifest, steps: int, strength: float | None = None) -> Sampler:
    """The sampler that ``manifest`` describes at another number of steps, over a network that cannot be called.

    Raises:
        ExportError: the run starts in the middle, and where is not given.
    """
    model, info, guidance = manifest.model, manifest.scheduler, manifest.guidance
    if (info.begin or manifest.task == "image_to_image") and strength is None:
        raise ExportError(f"strength is missing: {manifest.name} starts from a sample; give the --strength it has")
    schedule = schedule_of(model.noise_schedule) if model.noise_schedule is not None else None
    spec = ModelSpec(
        model.name, None, model.prediction_type, schedule, model.timestep_dtype  # type: ignore[arg-type]
    )
    scheduler = create(info.name, steps, **_numbers(info.name, info.config))
    scale = None if guidance.mode == "none" else _scale(manifest)
    return Sampler(nn.Identity(), scheduler, scale, spec=spec, strength=strength)


def _scale(manifest: Manifest) -> float | str | tuple[float, ...] | None:
    plan = manifest.guidance
    if plan.mode != "per_step":
        return {"none": None, "input": INPUT}.get(plan.mode, plan.scale)
    found = [1.0] * manifest.scheduler.steps
    for scale, evaluation in reversed(list(zip(plan.scales, manifest.tables.evaluations, strict=False))):
        found[evaluation.step] = 1.0 if scale is None else scale
    return tuple(found)


def _example(shape: tuple[int | str, ...], dtype: str, minimum: float | None) -> np.ndarray[Any, Any]:
    return np.full([1 if i == 0 or n == BATCH_AXIS else n for i, n in enumerate(shape)], minimum or 0, dtype=dtype)


def _numbers(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Options as ``create`` takes them: JSON has no infinity, so those were written as words."""
    defaults = option_defaults(name)
    return {k: float(v) if isinstance(v, str) and isinstance(defaults.get(k), float) else v for k, v in config.items()}
