"""The compiler: sampler in, program out.

sampler + example shapes
  -> signature            inputs and output of sampler and graph                     (signature, edge/)
  -> denoiser graph       captured once, optimised before anything is unrolled       (denoiser/, passes/)
  -> its precision        float16, bfloat16 or int8 weights, float32 at its edge     (precision/)
  -> segments             the steps that become one graph: all, or chunks            (sampling/segment)
  -> sampler graph        each evaluation one opaque node; without torch if it can be (sampling/lower, else trace)
  -> specialised parts    by binding time, for all call sites                        (partial/)
  -> linked graph         sites in place of the opaque nodes, weights shared         (link)
  -> whole pipeline       modules in front of it and behind it                       (stages/)
  or a table of coefficients and a graph that applies one row, or K      (sampling/recurrent, sampling/repeated)
  -> Program              manifest, serialisation, verification                      (describe, storage/, verification/)
  and from its files: graphs that load faster, engines, a served model               (offline/, engine/, triton/)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import Any

import numpy as np
import onnx_ir as ir

from samplegraph.export import budget
from samplegraph.export.budget import Teller
from samplegraph.export.collection import paused_collection
from samplegraph.export.denoiser.capture import Captures
from samplegraph.export.describe import describe
from samplegraph.export.errors import ExportError
from samplegraph.export.link import Target, link
from samplegraph.export.passes.pipeline import tidy_linked
from samplegraph.export.phases import Listener, Phases
from samplegraph.export.precision.policy import Converter, precision_of
from samplegraph.export.program import Program
from samplegraph.export.sampling.coefficients import drives, recurrent_tables
from samplegraph.export.sampling.layout import Layout, parse_layout
from samplegraph.export.sampling.lower import lower_sampler
from samplegraph.export.sampling.part import Part, drop_unread, number, part, take_visited
from samplegraph.export.sampling.pieces import Pieces
from samplegraph.export.sampling.recurrent import recurrent_part
from samplegraph.export.sampling.repeated import repeated_part
from samplegraph.export.sampling.segment import Segment, chunks, whole
from samplegraph.export.sampling.trace import trace_sampler
from samplegraph.export.signature import Signature, signature
from samplegraph.export.stages.attach import attach_stages
from samplegraph.export.storage.weights import MODES, SMALL, digest, is_external, tensor_of
from samplegraph.models import Sampler
from samplegraph.models.guidance_names import guidance_stem
from samplegraph.runtime.manifest import CARRIED, Weights
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
    layout: str = "unrolled",
    more: Sequence[Sampler] = (),
    captures: Captures | None = None,
    precision: str | None = None,
    keep_fp32: Sequence[str] = (),
    force: bool = False,
    tell: Teller | None = None,
    progress: Listener | None = None,
) -> Program:
    """Compile ``sampler`` into one graph, or a set of graphs where ``layout`` is ``chunked:K``.

    Args:
        sample_shape: (B, ...); the model's declared shape at batch 1 where left out.
        conditions: an example value for each condition of the model; declared ones may be left out.
        batch: B, or ``"dynamic"`` for a symbolic batch axis.
        name: file stem, else ``<model>-<scheduler>-<steps>`` and what is not default.
        weights: ``auto`` (embedded below 16 MB, else external), ``embed``, ``external`` (in a safetensors file in or
            below the output folder where that holds them, else in a file of their own) or ``copy`` (never in a
            safetensors file).
        layout: ``unrolled``, ``chunked:K`` (K steps per graph), ``step`` (one evaluation, driven by the runtime),
            ``repeated:K`` (K evaluations, likewise, and their constants in a file) or ``loop`` (an ONNX Loop); the last
            three need a scheduler whose steps are linear combinations.
        more: the same sampler at other step counts, for which ``step`` and ``repeated`` are to have tables as well.
        captures: denoisers captured before, for several programs over one network.
        precision: of the network: ``fp32``, ``fp16``, ``bf16``, or ``int8`` for its weights alone; the one that it
            has where left out. The sampler around it is float32.
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
    form = parse_layout(layout)
    if form.takes_more and (sampler.pre or sampler.post is not None):
        raise ExportError(
            f"layout={layout!r} has no place for a module in front or behind (pre, post): its graph is called once for "
            "each evaluation; choose unrolled, chunked:K or loop"
        )
    phases = Phases(progress)
    wanted = precision_of(sampler.denoiser, precision, keep_fp32)
    sig = signature(sampler, sample_shape, conditions, batch)
    segments = chunks(sampler, sig, form.size) if form.kind == "chunked" else [whole(sampler, sig)]
    tables = recurrent_tables([sampler, *more], form) if form.is_recurrent else None
    captures, convert = captures or Captures(), Converter(wanted)
    parameters = list(sampler.denoiser.network.parameters())
    size = sum(p.nbytes for p in parameters)
    evaluations = sampler.profile.evaluations
    nfe = max(form.size, 1) if tables else max(sum(map(len, evaluations[s.first : s.last])) for s in segments)
    within_budget = partial(budget.check, recurrent=lambda: drives(sampler), force=force)
    within_budget(len(parameters), nfe, size, tell=lambda _: None)  # at least one node for each
    with phases.phase("capture denoiser"), captures.hashing(sampler):
        targets = _targets(sampler, sig, captures, convert)
    nodes = max(len(target.denoiser.graph) for target in targets.values())
    within_budget(nodes, nfe, size, tell=tell)
    if tables is not None:
        widest = max(targets.values(), key=lambda target: target.rows)
        with phases.phase("link", max(form.size, 1)) as site_done:
            if form.kind == "repeated":
                parts = [repeated_part([sampler, *more], sig, widest, tables, form, site_done)]
            else:
                parts = [recurrent_part(sampler, sig, widest.denoiser, tables, form)]
    else:
        parts = _unrolled(sampler, sig, targets, segments, phases)
    if sampler.pre or sampler.post is not None:
        with phases.phase("capture pre and post"):
            attach_stages(parts, sampler, sig, captures)
    with phases.phase("describe"):
        mode = "external" if weights == "auto" and form.kind == "chunked" else weights
        stored = _stored(targets, parts, mode)
        held = Weights(*digest(stored, captures.digests))
        versions = {package: version(package) for package in _PACKAGES}
        stem = name or default_name(sampler, sig, form) + wanted.suffix
        for part in parts:
            made = describe(sampler, sig, stem, str(form), held, versions, part)
            part.manifest = replace(made, precision=wanted.name, keep_fp32=wanted.keep_fp32)
            part.model.graph.opset_imports[""] = wanted.opset
            part.model.producer_name, part.model.producer_version = "samplegraph", versions["samplegraph"]
            part.model.graph.name = stem + part.suffix
    return Program(parts, sampler, sig, stored, phases, convert.note, mode, captures.digests)


def _stored(targets: Mapping[int, Target], parts: Sequence[Part], mode: str) -> list[ir.Value]:
    """The weights that the graphs read; where they lie outside, all of the network's, so that every graph over it,
    of whatever layout, has the same file.
    """
    widest = max(targets.values(), key=lambda target: target.rows).denoiser
    everything = [v for v in widest.graph.initializers.values() if tensor_of(v).nbytes >= SMALL]
    names = {v.name for v in everything}
    stages = (v for part in parts for v in part.stage_weights if v.name not in names)
    everything += [v for v in stages if tensor_of(v).nbytes >= SMALL]
    if is_external(mode, sum(tensor_of(v).nbytes for v in everything)):
        return everything
    return list({w.name: w for part in parts for w in part.weights}.values())


def _unrolled(
    sampler: Sampler, sig: Signature, targets: Mapping[int, Target], segments: Sequence[Segment], phases: Phases
) -> list[Part]:
    """One graph per segment, the last first: a segment hands on only what a later one reads."""
    parts: list[Part] = []
    wanted: list[str] | None = None
    with phases.phase("link", sampler.profile.nfe) as site_done:
        done, pieces = count(), Pieces(sig.example_batch)
        for segment in reversed(segments):
            if wanted is not None:
                segment = segment.narrowed(segment.names, [*wanted, "sample", "x0"])
            graph = _sampler_graph(sampler, sig, segment, pieces)
            groups = link(graph, targets.__getitem__, lambda _: site_done(next(done)))
            tidy_linked(graph)
            visited = take_visited(graph.graph, len(segment.outputs))
            if segment.chunked:
                segment = drop_unread(graph, segment)
                wanted = [name.removesuffix(CARRIED) for name in segment.carried]
            parts.append(part(graph, segment, groups, visited))
    return number(parts[::-1])


def default_name(sampler: Sampler, sig: Signature, layout: Layout) -> str:
    """``<model>-<scheduler>-<steps>``, then layout, where it starts, batch and guidance that are not the default."""
    model = re.sub(r"[^\w.-]+", "-", sampler.spec.name).strip("-.") or "model"
    stem = f"{model}-{sampler.scheduler.name}-{sampler.scheduler.steps}"
    stem += layout.suffix
    task = sampler.task
    if task.strength is not None:
        stem += f"-s{task.strength:g}"
    elif task.kind == "image_to_image" or task.begin:
        stem += f"-begin{task.begin}"
    if task.kind == "inpaint":
        stem += "-inpaint"
    if sampler.pre:
        stem += "-pre"
    if sampler.post is not None:
        stem += "-post"
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


def _sampler_graph(sampler: Sampler, sig: Signature, segment: Segment, pieces: Pieces) -> ir.Model:
    """Lowered, operation by operation where eager rounds visibly or divides by a signal of nothing; else traced."""
    for exact in (False, True):
        if exact or not _keeps_rounding(sampler):
            with suppress(TypeError, AttributeError, ZeroDivisionError):
                return lower_sampler(sampler, sig, segment, exact=exact, pieces=pieces)
    return trace_sampler(sampler, sig, segment)


def _keeps_rounding(sampler: Sampler) -> bool:
    """Whether eager rounds visibly: one step leaves most of the noise behind (Euler in 2 steps from sigma 157).

    Its x0 then carries the rounding of a sample ``_STEEP`` times as large; combined coefficients would not, so such
    samplers, which are short, are lowered operation by operation.
    """
    grid = sampler.scheduler.grid
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = grid.sigma / grid.alpha
    ratio = ratio[sampler.task.begin :]
    steep = ratio[:-1] / np.maximum(1.0, ratio[1:]) > _STEEP
    return bool(steep.any()) and sampler.profile.nfe <= _SHORT
