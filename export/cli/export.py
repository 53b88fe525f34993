"""``samplegraph export``: compile a sampler into one graph."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samplegraph.export.cli.console import interruptible, phase_bars, stdout
from samplegraph.export.cli.errors import needs_extra
from samplegraph.export.cli.jobs import by_scheduler, jobs, table
from samplegraph.export.cli.output import check_output
from samplegraph.export.cli.steps import step_table
from samplegraph.export.cli.values import parse_settings
from samplegraph.runtime import InputError, read_manifest

if TYPE_CHECKING:
    from samplegraph.export.comparison import Verification
    from samplegraph.export.program import Program
    from samplegraph.schedulers import Scheduler

#: Values of --optimize-for; ``offline.TARGETS`` cannot be imported without the compiler.
TARGETS = ("cpu", "any-cpu")
EXAMPLE = "samplegraph export --scheduler ddim --steps 25 --output build"


def export(
    scheduler: Annotated[
        str | None,
        typer.Option(help="Scheduler name, or several such as ddim,euler; `samplegraph list` shows them."),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            help="Number of steps, or several such as 4,10,25: a graph for each, over one weights file.",
            metavar="N",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Built-in model, or package.module:factory. Default: the scheduler's demo model."),
    ] = None,
    scheduler_config: Annotated[
        Path | None, typer.Option(help="A diffusers scheduler_config.json.", metavar="FILE")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Scheduler option, name=value; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    guidance_scale: Annotated[
        str,
        typer.Option(
            help="A number (baked), one per step such as 7.5,6,4,1, 'input' (a graph input), or 'none'.",
            metavar="SCALE",
        ),
    ] = "input",
    guidance_interval: Annotated[
        str | None,
        typer.Option(
            help="Where guidance applies, sigma:LO,HI (noise-to-signal ratio) or steps:LO,HI (fractions of the "
            "steps); outside, the unconditional branch is left out.",
            metavar="UNIT:LO,HI",
        ),
    ] = None,
    guidance_rescale: Annotated[
        float,
        typer.Option(help="Guidance rescaling, phi from 0 to 1 (arXiv:2305.08891).", metavar="PHI"),
    ] = 0.0,
    strength: Annotated[
        float | None,
        typer.Option(help="Image to image: the share of the steps to take from init_sample, above 0 up to 1."),
    ] = None,
    begin: Annotated[
        int | None, typer.Option(help="Image to image: the first step to take, from 0.", metavar="K")
    ] = None,
    inpaint: Annotated[
        bool, typer.Option("--inpaint", help="Keep init_sample where mask is 0, draw anew where it is 1.")
    ] = False,
    batch: Annotated[str, typer.Option(help="Samples per call, or 'dynamic'.")] = "1",
    sample_shape: Annotated[
        str | None, typer.Option(help="Shape of one sample, e.g. 4,32,32; where the model declares none.")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            help="Example value of a condition that the model does not declare: name=@file.npy, or "
            "name=dtype:shape such as encoder_hidden_states=float32:8,32; repeatable.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.", metavar="FOLDER")] = Path("build"),
    name: Annotated[
        str | None, typer.Option(help="File stem; <model>-<scheduler>-<steps> by default.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="unrolled (one graph), chunked:K (K steps per file: progress, cancel, previews), step (one "
            "evaluation, for any number of steps; --steps 4,10 is one graph) or loop (an ONNX Loop).",
            metavar="LAYOUT",
        ),
    ] = "unrolled",
    weights: Annotated[
        str,
        typer.Option(
            help="auto, embed, external (where a safetensors file in or below the output folder holds them, they "
            "are read from it) or copy (always a file of their own)."
        ),
    ] = "auto",
    precision: Annotated[
        str | None,
        typer.Option(help="Of the network: fp32, fp16, bf16, or int8 for its weights alone; its own by default."),
    ] = None,
    keep_fp32: Annotated[
        list[str] | None,
        typer.Option(
            "--keep-fp32",
            help="What in the network stays float32: an op type, a module, a weight or a node, with * and ?; "
            "repeatable.",
            metavar="PATTERN",
        ),
    ] = None,
    optimize_for: Annotated[
        str | None,
        typer.Option(
            help="Write a second graph, <stem>-cpu, that ONNX Runtime loads without optimising: cpu (fastest, for "
            "CPUs like this one) or any-cpu.",
            metavar="TARGET",
        ),
    ] = None,
    prepack: Annotated[
        bool | None,
        typer.Option(
            "--prepack/--no-prepack",
            help="Whether that graph's weights are packed at load: slower to load, faster to run. By their size.",
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare with the eager sampler.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Make graphs that would take more than ten minutes to load, too.")
    ] = False,
) -> None:
    """Compile model + scheduler + steps into one verified ONNX graph, or a set of them, with its manifest."""
    options = parse_settings(settings or [])
    examples = parse_settings(condition or [], "--condition")
    asked = jobs(scheduler, steps, None if layout == "step" else name)
    scale = _scale(guidance_scale)
    rows = _batch(batch)
    if name is not None and (not name or Path(name).name != name or name.startswith(".")):
        raise InputError(
            f"name={name!r} is not a file stem; give a name without folders, the folder as --output"
        )
    check_output(output / f"{name or 'graph'}.onnx", (".onnx",))
    _check_target(optimize_for, prepack, precision, layout)
    with needs_extra("export", "export"):
        from samplegraph.export.capture import Captures
        from samplegraph.export.compiler import compile
        from samplegraph.export.layout import parse_layout
        from samplegraph.models import Sampler
        from samplegraph.models.demo import demo_source
        from samplegraph.models.load import load_model

    shape = (1, *_ints("sample_shape", sample_shape)) if sample_shape else None
    rows_of = {key: _example(key, value) for key, value in examples.items()}
    form = parse_layout(layout)
    with phase_bars() as progress:

        def prepare() -> list[Sampler]:
            networks: dict[str, Any] = {}
            samplers = []
            for job in asked:
                source = demo_source(job.scheduler) if model is None else model
                if source not in networks:
                    networks[source] = load_model(source)
                made = make_scheduler(job.scheduler, scheduler_config, job.steps, options, networks[source])
                sampler = Sampler(
                    networks[source],
                    made,
                    scale,
                    guidance_interval=guidance_interval,
                    guidance_rescale=guidance_rescale,
                    strength=strength,
                    begin=begin,
                    inpaint=inpaint,
                )
                samplers.append(sampler)
            return samplers

        captures = Captures()

        def work(sampler: Sampler, *others: Sampler) -> Program:
            program = compile(
                sampler,
                shape,
                rows_of,
                batch=rows,
                name=name,
                weights=weights,
                layout=layout,
                more=others,
                captures=captures,
                precision=precision,
                keep_fp32=keep_fp32 or [],
                force=force,
                tell=lambda text: print(f"warning: {text}", file=sys.stderr),
                progress=progress,
            )
            if verify:
                program.verify()
            return program

        made: list[tuple[Program, Path]] = []
        optimized = []
        samplers = interruptible(prepare)
        for group in by_scheduler(samplers) if form.kind == "step" else [[sampler] for sampler in samplers]:
            try:
                program = interruptible(partial(work, *group))
            except RuntimeError as error:
                if "can't allocate memory" in str(error):  # how torch says it
                    raise InputError(f"batch={batch}: out of memory; give a smaller batch or sample_shape") from error
                raise
            path = program.save(output / f"{program.manifest.name}.onnx")
            made.append((program, path))
            if optimize_for is not None:
                optimise = partial(program.optimize, path, optimize_for, prepack=prepack, verified=verify)
                optimized.append(interruptible(optimise))
    if len(made) == 1:
        _summary(*made[0])
    else:
        stdout().print(table(made))
    for path in optimized:
        _optimized(path)


def _check_target(optimize_for: str | None, prepack: bool | None, precision: str | None, layout: str) -> None:
    if optimize_for is not None and optimize_for not in TARGETS:
        raise InputError(f"optimize_for={optimize_for!r} is not known; choose one of {', '.join(TARGETS)}")
    if optimize_for is not None and layout != "unrolled":
        raise InputError(
            f"optimize_for={optimize_for!r} is for layout 'unrolled', not {layout!r}; leave one of them out"
        )
    if optimize_for is not None and precision in ("bf16", "int8"):
        raise InputError(
            f"optimize_for={optimize_for!r} does not go with precision={precision!r}: the CPU provider has no "
            "bfloat16, and would store int8 weights as float32; give --precision fp16 or fp32, or leave one out"
        )
    if optimize_for is None and prepack is not None:
        raise InputError(f"prepack={prepack} needs the graph of --optimize-for; give that too, or leave prepack out")


def make_scheduler(
    name: str | None, config: Path | None, steps: int | None, options: dict[str, Any], network: Any
) -> Scheduler:
    """The scheduler that the command line describes; a model's declared noise schedule is the default one.

    Raises:
        InputError: neither a name nor a config, or a name that contradicts the config.
        OptionError: as ``create`` and ``from_config`` raise.
    """
    from samplegraph.models.spec import spec_of
    from samplegraph.schedulers import create, from_config, option_defaults

    if config is not None:
        made = from_config(config, steps, **options)
        if name is not None and made.name != name:
            raise InputError(
                f"scheduler={name!r} contradicts {config}, which is for {made.name!r}; give one of them"
            )
        return made
    if name is None:
        raise InputError("scheduler is missing; give --scheduler ddim, or --scheduler-config FILE")
    own = spec_of(network).noise_schedule
    if own is not None:
        takes = option_defaults(name)
        declared = {k: v for k, v in vars(own).items() if k in takes}
        if not any(k in options for k in declared):
            options = {**declared, **options}
    return create(name, steps, **options)


def _scale(text: str) -> float | str | tuple[float, ...] | None:
    if text == "input":
        return text
    if text.lower() == "none":
        return None
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"guidance_scale={text!r} is not allowed; give a number, one per step such as 7.5,6,4, 'input' or 'none'"
        ) from error
    return scales if "," in text else scales[0]


def _batch(text: str) -> int | str:
    if text == "dynamic":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"batch={text!r} is not allowed; give a whole number of at least 1, or 'dynamic'")
    return int(text)


def _ints(name: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"{name}={text!r} is not a shape; give whole numbers such as 4,32,32")
    return [int(part) for part in parts]


def _example(name: str, value: Any) -> Any:
    """An example condition: an array, or zeros of ``dtype:shape``."""
    import numpy as np

    if not isinstance(value, list | str) or not value or (isinstance(value, list) and not isinstance(value[0], str)):
        return value
    text = ",".join(str(part) for part in value) if isinstance(value, list) else value
    dtype, colon, shape = text.partition(":")
    if not colon or dtype not in ("float32", "float16", "int64", "int32", "bool"):
        raise InputError(
            f"condition {name}={text!r} is not dtype:shape; write for example {name}=float32:8,32"
        )
    axes = _ints(name, shape) if shape else []
    try:
        return np.zeros((1, *axes), dtype=dtype)
    except (ValueError, MemoryError) as error:
        raise InputError(f"condition {name}={text} is too large ({error}); give the shape of one row") from error


def _summary(program: Program, path: Path) -> None:
    from rich.table import Table

    report = program.report()
    table = Table(title=str(path), title_justify="left", show_header=False)
    done = report.specialised
    table.add_row("nodes", f"{report.nodes:,}")
    table.add_row("graph file", _size(report.bytes))
    files = ", ".join(program.manifest.weights.files)
    table.add_row("weights", f"{_size(report.weight_bytes)} {f'in {files}' if files else 'embedded'}")
    table.add_row("denoiser evaluations (NFE)", str(report.nfe))
    nodes = f"{done['folded']} folded, {done['hoisted']} hoisted, {done['batched']} batched over steps, "
    shared = done.get("on one branch", 0)
    nodes += f"{done['per site']} per evaluation" + (f", {shared} of them on one branch" if shared else "")
    table.add_row("denoiser nodes", nodes)
    if report.total.flops:
        share = 100 * report.saved.flops / report.total.flops
        text = f"{report.saved.flops / 1e6:,.1f} MFLOP ({share:.1f} %) and {_size(report.saved.bytes)} of values"
        table.add_row("saved against a host loop", text)
    table.add_row("peak memory", _size(report.peak_memory))
    table.add_row("max error", _error(program.verification))
    if program.note:
        table.add_row("precision", program.note)
    seconds = ", ".join(f"{phase} {value:.1f}" for phase, value in report.seconds.items() if value >= 0.05)
    table.add_row("seconds", f"{sum(report.seconds.values()):.1f} ({seconds})")
    stdout().print(table)
    result = program.verification
    if result is not None and result.least_cosine is not None:
        stdout().print(step_table(result))


def _error(result: Verification | None) -> str:
    if result is None:
        return "not verified"
    worst = max(range(len(result.errors)), key=result.errors.__getitem__)
    at_worst = f"; worst after step {worst + 1}: {result.errors[worst]:.1e}" if len(result.errors) > 1 else ""
    diverged = result.divergence()
    return f"{result.error:.1e} relative to eager{at_worst}{f'; {diverged}' if diverged else ''}"


def _optimized(path: Path) -> None:
    made = read_manifest(path).optimized_for
    assert made is not None
    size = _size(path.stat().st_size) + (f" and {_size(made.bytes)} in {made.file}" if made.file else "")
    stdout().print(f"{path}  optimised for ONNX Runtime {made.onnxruntime}, {size}", soft_wrap=True, markup=False)


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
