"""``samplegraph export``: compile a sampler into one graph."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samplegraph.export.cli.arguments import batch_of, example_of, guidance_scale_of, shape_of
from samplegraph.export.cli.console import interruptible, phase_bars, stdout
from samplegraph.export.cli.engines import engine_order
from samplegraph.export.cli.errors import needs_extra
from samplegraph.export.cli.jobs import by_scheduler, jobs, table
from samplegraph.export.cli.output import check_output
from samplegraph.export.cli.report import optimized_line, summary
from samplegraph.export.cli.stages import load_stages
from samplegraph.export.cli.values import parse_settings
from samplegraph.runtime import InputError

if TYPE_CHECKING:
    from samplegraph.export.program import Program
    from samplegraph.schedulers import Scheduler

#: Values of --optimize-for; ``offline.TARGETS`` cannot be imported without the compiler.
TARGETS = ("cpu", "any-cpu")
EXAMPLE = "samplegraph export --scheduler ddim --steps 25 --output build"


def export(
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Scheduler name, or several such as ddim,euler; `samplegraph list` shows them. Default: that of the "
            "model's pipeline."
        ),
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
        typer.Option(
            help="Built-in model, diffusers folder (denoiser or pipeline), hub:owner/name, .onnx file, weights of a "
            "built-in architecture, or package.module:factory. Default: the scheduler's demo model."
        ),
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(help="A LoRA to fuse into a diffusers network; repeatable.", metavar="FILE[:SCALE]"),
    ] = None,
    include: Annotated[
        str | None,
        typer.Option(
            help="Parts of the model's diffusers pipeline to put into the graph too, such as text_encoder,vae: "
            "text_encoder (token ids in), vae (picture out), vae_encoder (picture in, for image to image).",
            metavar="PARTS",
        ),
    ] = None,
    clip_skip: Annotated[
        int,
        typer.Option(help="Layers that CLIP text encoders leave out at their end, as in diffusers.", metavar="N"),
    ] = 0,
    guided: Annotated[
        str | None,
        typer.Option(
            help="The conditions that guidance's branches differ in, such as encoder_hidden_states,pooled_projections. "
            "Default: what the model declares, else all.",
            metavar="NAMES",
        ),
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Read pickled weights (.bin, .pt, .ckpt), which can run any code."),
    ] = False,
    pre: Annotated[
        list[str] | None,
        typer.Option(
            help="A torch module in front of the sampler, in the same graph: package.module:factory. It gives "
            "conditions of the model from inputs of its own. Repeatable, in order.",
            metavar="FACTORY",
        ),
    ] = None,
    post: Annotated[
        str | None,
        typer.Option(
            help="A torch module behind the sampler, in the same graph, that makes its output: package.module:factory.",
            metavar="FACTORY",
        ),
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
            help="unrolled (one graph), chunked:K (K steps per file: progress, cancel, previews), repeated:K (one "
            "graph of K evaluations, called again and again: the quickest to build as an engine), step (one "
            "evaluation, for any number of steps) or loop (an ONNX Loop). With --steps 4,10 repeated and step are one "
            "graph for both.",
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
    engine: Annotated[
        bool,
        typer.Option("--engine", help="Build TensorRT engines too; `samplegraph build` has more options for that."),
    ] = False,
    target: Annotated[
        str,
        typer.Option(help="Of the engines, such as sm89 or sm86,sm89,sm120.", metavar="SM", show_default=False),
    ] = "",
    builder: Annotated[
        str, typer.Option(help="Of the engines: tensorrt-rtx (needs no GPU), or tensorrt (builds on the GPU at hand).")
    ] = "tensorrt-rtx",
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare with the eager sampler.")
    ] = True,
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache",
            help="Neither use nor keep a capture of the network, which spares the next export of it most of the time. "
            "SAMPLEGRAPH_CACHE names the folder.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Make graphs that would take more than ten minutes to load, too.")
    ] = False,
) -> None:
    """Compile model + scheduler + steps into one verified ONNX graph, or a set of them, with its manifest.

    With --engine TensorRT engines are built from it; one that fails leaves the graph.
    """
    wanted = [part.strip() for part in include.split(",")] if include is not None else []
    options = parse_settings(settings or [])
    examples = parse_settings(condition or [], "--condition")
    asked = jobs(scheduler, steps, None if layout.startswith(("step", "repeated")) else name)
    scale = guidance_scale_of(guidance_scale)
    rows = batch_of(batch)
    if name is not None and (not name or Path(name).name != name or name.startswith(".")):
        raise InputError(
            f"name={name!r} is not a file stem; give a name without folders, the folder as --output"
        )
    if output.suffix == ".onnx" and not output.is_dir():
        raise InputError(
            f"output={output} looks like a file, and is the folder to write to; give --output {output.parent} "
            f"--name {output.stem}"
        )
    check_output(output / f"{name or 'graph'}.onnx", (".onnx",))
    _check_target(optimize_for, prepack, precision, layout)
    engines = engine_order(engine, builder, target)
    with needs_extra("export", "export"):
        from samplegraph.export.compiler import compile
        from samplegraph.export.denoiser.capture import Captures
        from samplegraph.export.denoiser.capture_cache import user_cache
        from samplegraph.export.sampling.layout import parse_layout
        from samplegraph.models import Parts, Sampler
        from samplegraph.models.demo import demo_source
        from samplegraph.models.load import load_model
        from samplegraph.models.spec import spec_of

    shape = (1, *shape_of("sample_shape", sample_shape)) if sample_shape else None
    rows_of = {key: example_of(key, value) for key, value in examples.items()}
    form = parse_layout(layout)
    with phase_bars() as progress:

        def prepare() -> list[Sampler]:
            networks: dict[str, Any] = {}
            parts: dict[str, Parts] = {}
            samplers = []
            for job in asked:
                source = demo_source(job.scheduler) if model is None else model
                if source not in networks:
                    networks[source] = load_model(source, lora=lora or (), allow_pickle=allow_pickle)
                    parts[source] = load_stages(
                        source,
                        pre or [],
                        post,
                        wanted,
                        clip_skip=clip_skip,
                        sample_shape=shape[1:] if shape else spec_of(networks[source]).sample_shape,
                        lora=lora or (),
                        allow_pickle=allow_pickle,
                    )
                made = make_scheduler(
                    job.scheduler, scheduler_config, job.steps, options, networks[source], shape[1:] if shape else None
                )
                sampler = Sampler(
                    networks[source],
                    made,
                    scale,
                    guidance_interval=guidance_interval,
                    guidance_rescale=guidance_rescale,
                    guided=None if guided is None else [name.strip() for name in guided.split(",")],
                    strength=strength,
                    begin=begin,
                    inpaint=inpaint,
                    pre=parts[source].pre,
                    post=parts[source].post,
                )
                samplers.append(sampler)
            return samplers

        captures = Captures(None if no_cache else user_cache())

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
        for group in by_scheduler(samplers) if form.takes_more else [[sampler] for sampler in samplers]:
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
            summary(*made[0])
        else:
            stdout().print(table(made))
        for path in optimized:
            optimized_line(path)
        if engines is not None:
            for _, path in made:
                engines.build(path, progress)


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
    name: str | None,
    config: Path | None,
    steps: int | None,
    options: dict[str, Any],
    network: Any,
    sample_shape: tuple[int, ...] | None = None,
) -> Scheduler:
    """The scheduler that the command line describes; what the model came with or declares is the default one.

    Raises:
        InputError: neither a name nor a config, or a name that contradicts the config.
        OptionError: as ``create`` and ``from_config`` raise.
    """
    from samplegraph.models.scheduling import scheduler_for
    from samplegraph.models.spec import spec_of

    if config is not None:
        made = scheduler_for(network, steps, config=config, sample_shape=sample_shape, **options)
        if name is not None and made.name != name:
            raise InputError(
                f"scheduler={name!r} contradicts {config}, which is for {made.name!r}; give one of them"
            )
        return made
    if name is None and spec_of(network).scheduler_config is None:
        raise InputError("scheduler is missing; give --scheduler ddim, or --scheduler-config FILE")
    return scheduler_for(network, steps, name, sample_shape=sample_shape, **options)
