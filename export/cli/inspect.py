"""``samplegraph inspect``: what a compiled sampler is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from samplegraph.export.cli.builder_check import check_builder
from samplegraph.export.cli.console import stdout
from samplegraph.export.cli.output import check_output
from samplegraph.export.cli.plot import SUFFIXES, plot_sigmas
from samplegraph.runtime import Manifest, read_manifest
from samplegraph.runtime.engine_file import check_engine
from samplegraph.runtime.inputs import range_text
from samplegraph.runtime.manifest import EngineInfo, Tensor
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES

EXAMPLE = "samplegraph inspect build/digits-ddim-25.onnx --plot sigmas.svg"


def inspect(
    file: Annotated[
        Path, typer.Argument(help="A compiled .onnx file, an engine, or a sidecar .json.", show_default=False)
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest as JSON and nothing else.")
    ] = False,
    bindings: Annotated[
        bool, typer.Option("--bindings", help="What the denoiser's nodes depend on, and what became of them.")
    ] = False,
    builder_check: Annotated[
        bool,
        typer.Option("--builder-check", help="Only what TensorRT would refuse of the graph; exit code 1 if anything."),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the sigma curve into this .svg, .png or .pdf.", show_default=False),
    ] = None,
) -> None:
    """Show a compiled sampler: its parts, inputs and outputs, sizes, and a table of its steps."""
    if builder_check:
        check_builder(file)
        return
    if plot is not None:
        check_output(plot, SUFFIXES)
    manifest = check_engine(file) if file.suffix in ENGINE_SUFFIXES else read_manifest(file)
    console = stdout()
    if as_json:
        typer.echo(manifest.to_json(), nl=False)
    else:
        tables = [_summary(file, manifest), _tensors(manifest), _steps(manifest)]
        for table in [_bindings(manifest)] if bindings else tables:
            console.print(table)
    if plot is not None:
        plot_sigmas(manifest, plot)
        if not as_json:
            console.print(f"{plot}  the sigma curve", soft_wrap=True, markup=False)


def _summary(file: Path, manifest: Manifest) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    model, scheduler = manifest.model, manifest.scheduler
    rows = {
        "name": f"{manifest.name} ({manifest.layout})",
        "layout": _layout(manifest),
        "model": f"{model.name}, predicts {model.prediction_type}, timestep {model.timestep_dtype}",
        "scheduler": f"{scheduler.name}, {scheduler.steps} steps, "
        f"NFE {scheduler.nfe}, order {scheduler.order}",
        "task": _task(manifest),
        **_stages(manifest),
        "precision": manifest.precision
        + (f", but {', '.join(manifest.keep_fp32)} in fp32" if manifest.keep_fp32 else ""),
        "options": _pairs(scheduler.config),
        "guidance": _guidance(manifest),
        "noise": f"{manifest.noise.slices} slices of step_noise; "
        f"init_noise_sigma {_number(manifest.noise.init_noise_sigma)}",
        "batch": str(manifest.batch or "any"),
        "file": f"{file}, {_bytes(file.stat().st_size)}",
        "weights": _weights(file, manifest),
        "optimised for": _optimized(manifest),
        **({"engine": _engine(manifest.engine)} if manifest.engine is not None else {}),
        "tables": f"sha256 {manifest.tables.sha256}",
        "versions": _pairs(manifest.versions),
    }
    for name, text in rows.items():
        table.add_row(name, _plain(text))
    return table


def _layout(manifest: Manifest) -> str:
    chunk, recurrence = manifest.chunk, manifest.recurrence
    if chunk is not None:
        return f"chunk {chunk.index + 1} of {chunk.count}: steps {chunk.first} to {chunk.last - 1}"
    if recurrence is not None:
        counts = ", ".join(str(table.steps) for table in recurrence.tables)
        size, told = recurrence.evaluations, recurrence.constants
        what = "one evaluation" if size == 1 else f"{size} evaluations a call"
        beside = f"; {told.width} constants each in {told.file}" if told is not None else ""
        return f"{what} over {len(recurrence.registers)} registers; tables for {counts} steps{beside}"
    return {"loop": "one evaluation in a Loop"}.get(manifest.layout, "all steps in one graph")


def _tensors(manifest: Manifest) -> Table:
    table = Table(title="inputs and outputs", title_justify="left")
    for name in ("name", "role", "dtype", "shape", "allowed", "default", "meaning"):
        table.add_column(name, overflow="fold")
    for tensor in (*manifest.inputs, *manifest.outputs):
        table.add_row(*(_plain(text) for text in _tensor_row(tensor)))
    return table


def _tensor_row(tensor: Tensor) -> tuple[str, ...]:
    default = "" if tensor.default is None else _number(tensor.default)
    shape = "(" + ", ".join(map(str, tensor.shape)) + ("," if len(tensor.shape) == 1 else "") + ")"
    return tensor.name, tensor.role, tensor.dtype, shape, range_text(tensor), default, tensor.description


def _steps(manifest: Manifest) -> Table:
    """One row per step, at the first of its evaluations, and one for the point where sampling ends."""
    table = Table(title="steps", title_justify="left")
    for name in ("step", "t", "alpha", "sigma", "NFE", "noise", "guidance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("next sample", overflow="fold")
    tables = manifest.tables
    for step in range(manifest.scheduler.begin, manifest.scheduler.steps):
        evaluations = [e for e in tables.evaluations if e.step == step]
        draws = str(manifest.noise.steps.count(step))
        if evaluations:
            e = evaluations[0]
            at = (_number(e.timestep), _number(e.alpha), _number(e.sigma))
        else:
            at = ("-", "-", "-")
        scale = _scales(manifest, step) if evaluations else "-"
        table.add_row(str(step), *at, str(len(evaluations)), draws, scale, _coefficients(manifest, step))
    if tables.alphas and tables.sigmas:
        table.add_row("end", "", _number(tables.alphas[-1]), _number(tables.sigmas[-1]), "", "", "", "")
    return table


def _bindings(manifest: Manifest) -> Table:
    """One row per binding class: what one evaluation holds, and how often the graph holds it."""
    table = Table(title="one denoiser evaluation, by what its nodes depend on", title_justify="left")
    for name in ("depends on", "nodes", "MFLOP", "bytes written", "in this graph"):
        table.add_column(name, justify="left" if name in ("depends on", "in this graph") else "right")
    done = manifest.specialised
    fate = {
        "timestep": f"{done.get('folded', 0)} nodes folded into constants",
        "conditions": f"{done.get('hoisted', 0)} nodes in front of the loop, once",
        "timestep+conditions": f"{done.get('batched', 0)} nodes once for all steps, "
        f"{done.get('in front per site', 0)} in front per step",
        "sample": f"{done.get('per site', 0)} nodes per evaluation, {manifest.scheduler.nfe} evaluations",
    }
    for name, cost in manifest.bindings.items():
        table.add_row(name, f"{cost.nodes:,}", f"{cost.flops / 1e6:,.2f}", _bytes(cost.bytes), fate.get(name, ""))
    return table


def _coefficients(manifest: Manifest, step: int) -> str:
    """The step as a formula, where the sampler is affine."""
    rows, taken = manifest.tables.coefficients, step - manifest.scheduler.begin
    if taken >= len(rows):
        return "-"
    return " ".join(f"{c:+.4g}*{name}" for name, c in rows[taken].items()).removeprefix("+") or "0"


def _task(manifest: Manifest) -> str:
    begin, steps = manifest.scheduler.begin, manifest.scheduler.steps
    return manifest.task.replace("_", " ") + (f", steps {begin} to {steps - 1}" if begin else "")


def _stages(manifest: Manifest) -> dict[str, str]:
    """The modules in front and behind, where there are any."""
    each = [("pre" if len(manifest.pre) == 1 else f"pre {k}", stage) for k, stage in enumerate(manifest.pre, 1)]
    each += [("post", manifest.post)] if manifest.post is not None else []
    return {
        name: f"{stage.source or 'made in Python'}: {', '.join(stage.inputs)} -> {', '.join(stage.outputs)}"
        for name, stage in each
    }


def _guidance(manifest: Manifest) -> str:
    plan = manifest.guidance
    if plan.mode == "none":
        return "none"
    scale = "none" if plan.scale is None else _number(plan.scale)
    kinds = {"input": f"scale is an input, default {scale}", "per_step": "a scale per step, baked in"}
    parts = [kinds.get(plan.mode, f"scale {scale}, baked in"), f"guides {', '.join(plan.conditions)}"]
    if plan.interval is not None:
        alone = sum(each == 1 for each in plan.scales)
        parts.append(f"interval {plan.interval} (conditional alone in {alone} of {len(plan.scales)} evaluations)")
    if plan.rescale:
        parts.append(f"rescale {_number(plan.rescale)}")
    return "; ".join(parts)


def _scales(manifest: Manifest, step: int) -> str:
    """The guidance scale of a step, or of each of its evaluations where they differ."""
    plan = manifest.guidance
    if plan.mode == "none":
        return "-"
    every = plan.scales or (plan.scale if plan.mode == "baked" else None,) * len(manifest.tables.evaluations)
    pairs = zip(every, manifest.tables.evaluations, strict=False)
    found = ["input" if scale is None else _number(scale) for scale, e in pairs if e.step == step]
    return ", ".join(dict.fromkeys(found))


def _weights(file: Path, manifest: Manifest) -> str:
    weights = manifest.weights
    digest = f"{_bytes(weights.bytes)}, sha256 {weights.sha256}"
    if weights.file is None or manifest.engine is not None:
        return f"{digest}, in the file"
    each = [(name, file.parent / name) for name in weights.files or (weights.file,)]
    found = (f"{name} ({_bytes(path.stat().st_size) if path.is_file() else 'missing'})" for name, path in each)
    return f"{digest}, in {', '.join(found)}"


def _optimized(manifest: Manifest) -> str:
    made = manifest.optimized_for
    if made is None:
        return "nothing: it runs anywhere" if manifest.engine is None else "the engine's target"
    cpu = f"CPUs with blocks of {made.channel_block} channels" if made.channel_block else "any CPU"
    weights = f"; weights it made: {_bytes(made.bytes)} in {made.file}" if made.file else ""
    packed = "packed at load" if made.prepack else "not packed at load"
    return f"{cpu}, by ONNX Runtime {made.onnxruntime}, not for older ones; weights {packed}{weights}"


def _engine(made: EngineInfo) -> str:
    rows = f"batch {':'.join(map(str, made.batch))} (smallest, best, largest)" if made.batch else "static batch"
    of = f"sha256 {made.sha256}, of the graph with sha256 {made.graph_sha256}"
    version = f"that version{' and later ones' if made.version_compatible else ' alone'}"
    more = "; refittable" if made.refittable else ""
    return f"for {made.target}, by {made.builder} {made.builder_version} and for {version}; {rows}{more}; {of}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in sorted(values.items()) if v is not None) or "-"


def _number(value: float) -> str:
    return f"{value:.6g}"


def _bytes(count: int) -> str:
    """``1.5 MB``, in steps of 1000."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def _plain(text: str) -> str:
    """``text`` without console markup."""
    return text.replace("[", "\\[")
