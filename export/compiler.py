"""The compiler: sampler in, program out.

sampler + example shapes
  -> signature            graph inputs and output                                    (signature)
  -> denoiser graph       captured once, optimised before anything is unrolled       (capture, passes)
  -> its precision        float16 or bfloat16, float32 at its edge                    (precision, narrow, keep)
  -> sampler graph        each evaluation one opaque node; affine ones without torch (lower, else capture)
  -> specialised parts    by binding time, for all call sites                        (bindings, fold, specialise)
  -> linked graph         sites in place of the opaque nodes, weights shared         (link)
  -> Program              manifest, serialisation, verification                      (describe, emit, verify)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx_ir as ir

from samplegraph.export import budget
from samplegraph.export.budget import Teller
from samplegraph.export.capture import Captures, trace_sampler
from samplegraph.export.collection import paused_collection
from samplegraph.export.cost import Work, costs
from samplegraph.export.describe import describe
from samplegraph.export.errors import ExportError
from samplegraph.export.link import Target, link
from samplegraph.export.lower import lower_sampler
from samplegraph.export.passes import tidy_linked
from samplegraph.export.phases import Listener, Phases
from samplegraph.export.precision import Converter, precision_of
from samplegraph.export.program import Program
from samplegraph.export.signature import Signature, signature
from samplegraph.export.weights import MODES, digest, is_external
from samplegraph.models import Sampler
from samplegraph.models.guidance_names import guidance_stem
from samplegraph.runtime.manifest import Weights
from samplegraph.schedulers.errors import one_of

_STEEP, _SHORT = 20.0, 25
_PACKAGES = ("samplegraph", "torch", "onnx-ir", "onnxscript")


@paused_collection()
def compile(
    sampler: Sampler,
    sample_shape: Sequence[int] | None = None,
    conditions: Mapping[str, Any] | None = None,
    *,
    batch: int | str | None = None,
    name: str | None = None,
    weights: str = "auto",
    captures: Captures | None = None,
    precision: str | None = None,
    keep_fp32: Sequence[str] = (),
    force: bool = False,
    tell: Teller | None = None,
    progress: Listener | None = None,
) -> Program:
    """Compile ``sampler`` into one unrolled graph.

    Args:
        sample_shape: (B, ...); the model's declared shape at batch 1 where left out.
        conditions: an example value for each condition of the model; declared ones may be left out.
        batch: B, or ``"dynamic"`` for a symbolic batch axis.
        name: file stem, else ``<model>-<scheduler>-<steps>`` and what is not default.
        weights: ``auto`` (embedded below 16 MB, else external), ``embed``, ``external`` (in a safetensors file in or
            below the output folder where that holds them, else in a file of their own) or ``copy`` (never in a
            safetensors file).
        captures: denoisers captured before, for several programs over one network.
        precision: of the network: ``fp32``, ``fp16`` or ``bf16``; the one that it has where left out. The sampler
            around it is float32.
        keep_fp32: patterns (``fnmatch``) of what stays float32: op types, modules, weights or nodes.
        force: make graphs that would take more than ten minutes to load, too.
        tell: takes a warning about what loads slowly; ``warnings.warn`` where left out.
        progress: told ``(phase, done, total)``.

    Raises:
        ExportError: the model or the scheduler cannot be captured, a shape is not allowed, or the graph is too large.
    """
    one_of("weights", weights, MODES)
    if not sampler.profile.nfe:
        raise ExportError(
            f"steps={sampler.scheduler.steps} of {sampler.scheduler.name} never asks the model; give more steps"
        )
    phases = Phases(progress)
    wanted = precision_of(sampler.denoiser, precision, keep_fp32)
    sig = signature(sampler, sample_shape, conditions, batch)
    parameters = list(sampler.denoiser.network.parameters())
    stored, nfe = sum(p.nbytes for p in parameters), sampler.profile.nfe
    budget.check(len(parameters), nfe, stored, force=force, tell=lambda _: None)  # at least one node for each
    with phases.phase("capture denoiser"):
        captures = captures or Captures()
        convert = Converter(wanted)
        targets = _targets(sampler, sig, captures, convert)
    nodes = max(len(target.denoiser.graph) for target in targets.values())
    budget.check(nodes, nfe, stored, force=force, tell=tell)
    with phases.phase("capture sampler"):
        graph = _sampler_graph(sampler, sig)
    with phases.phase("link", sampler.profile.nfe) as site_done:
        groups = link(graph, targets.__getitem__, site_done)
        graph.graph.opset_imports[""] = wanted.opset
        tidy_linked(graph)
        visited = _visited(graph.graph)
    with phases.phase("describe"):
        used = [w for group in groups for w in group.parts.weights if w.uses()]
        sha256, size = digest(used, captures.digests)
        is_external(weights, size)  # refuses what cannot be embedded
        versions = {package: version(package) for package in _PACKAGES}
        widest = groups[0].parts
        by_class = costs(widest.bindings, groups[0].rows)
        stem = name or default_name(sampler, sig) + wanted.suffix
        held = Weights(sha256, size)
        manifest = describe(sampler, sig, stem, "unrolled", held, versions, by_class, widest.counts, visited)
        manifest = replace(manifest, precision=wanted.name, keep_fp32=wanted.keep_fp32)
        graph.producer_name, graph.producer_version = "samplegraph", versions["samplegraph"]
        graph.graph.name = manifest.name
    work = sum((g.work for g in groups), Work())
    digests = captures.digests
    return Program(graph, manifest, sampler, sig, used, by_class, work, phases, convert.note, weights, digests)


def _visited(graph: ir.Graph) -> tuple[str, ...]:
    """Names of the sample after each step; ``sample`` becomes the graph's only output."""
    final, *earlier = graph.outputs
    del graph.outputs[1:]
    return tuple(str(value.name) for value in (*earlier, final))


def default_name(sampler: Sampler, sig: Signature) -> str:
    """``<model>-<scheduler>-<steps>``, then where it starts, a batch other than 1, guidance that is no mere input."""
    model = re.sub(r"[^\w.-]+", "-", sampler.spec.name).strip("-.") or "model"
    stem = f"{model}-{sampler.scheduler.name}-{sampler.scheduler.steps}"
    task = sampler.task
    if task.strength is not None:
        stem += f"-s{task.strength:g}"
    elif task.kind == "image_to_image" or task.begin:
        stem += f"-begin{task.begin}"
    if task.kind == "inpaint":
        stem += "-inpaint"
    if sig.batch != 1:
        stem += f"-b{sig.batch or 'dynamic'}"
    return stem + (guidance_stem(sampler.guidance) if sig.model_conditions() else "")


def _targets(sampler: Sampler, sig: Signature, captures: Captures, convert: Converter) -> dict[int, Target]:
    """What becomes of a denoiser call at each grid point: one capture for each number of rows."""
    denoiser, found = sampler.denoiser, {}
    for point in sampler.profile.points:
        wide = bool(sig.guided) and denoiser.scale_at(point) is not None
        rows = sig.example_batch * (2 if wide else 1)
        timestep = np.full(rows if sig.batch else 1, denoiser.timesteps[point], dtype=sampler.spec.timestep_dtype)
        found[point] = Target(convert(captures.get(denoiser, sig, rows)), timestep, rows)
    return found


def _sampler_graph(sampler: Sampler, sig: Signature) -> ir.Model:
    """Lowered from the plan where the scheduler is affine, else traced, as where a clipped x0 was infinite before."""
    try:
        return trace_sampler(sampler, sig) if _keeps_rounding(sampler) else lower_sampler(sampler, sig)
    except (TypeError, ZeroDivisionError):
        return trace_sampler(sampler, sig)


def _keeps_rounding(sampler: Sampler) -> bool:
    """Whether eager rounds visibly: one step leaves most of the noise behind (Euler in 2 steps from sigma 157).

    Its x0 then carries the rounding of a sample ``_STEEP`` times as large; combined coefficients would not, so such
    samplers, which are short, are traced operation by operation.
    """
    grid = sampler.scheduler.grid
    with np.errstate(divide="ignore"):
        ratio = grid.sigma / grid.alpha
    ratio = ratio[sampler.task.begin :]
    steep = ratio[:-1] / np.maximum(1.0, ratio[1:]) > _STEEP
    return bool(steep.any()) and sampler.profile.nfe <= _SHORT
