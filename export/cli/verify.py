"""``samplegraph verify``: compare a graph, or an engine, with the eager sampler that its manifest describes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samplegraph.export.cli.console import interruptible, quiet_engine, stdout
from samplegraph.export.cli.engines import PATIENCE
from samplegraph.export.cli.errors import needs_extra
from samplegraph.export.cli.stages import load_stages
from samplegraph.export.cli.steps import step_table
from samplegraph.export.cli.values import whole_number
from samplegraph.export.cli.verify_engine import against_eager, runs_here
from samplegraph.runtime import InputError, read_manifest

if TYPE_CHECKING:
    from samplegraph.export.verification.comparison import Verification

EXAMPLE = "samplegraph verify build/digits-ddim-25.onnx"


def verify(
    file: Annotated[Path, typer.Argument(help="A graph or an engine that samplegraph wrote.", metavar="FILE")],
    model: Annotated[
        str | None, typer.Option(help="The model it was made from; the manifest's built-in one by default.")
    ] = None,
    seed: Annotated[str, typer.Option(help="Seed of the noise.", metavar="N")] = "0",
    lora: Annotated[
        list[str] | None,
        typer.Option(help="A LoRA that was fused into it; repeatable.", metavar="FILE[:SCALE]"),
    ] = None,
    pre: Annotated[
        list[str] | None,
        typer.Option(help="A module in front, as it was given to export; repeatable.", metavar="FACTORY"),
    ] = None,
    post: Annotated[
        str | None, typer.Option(help="The module behind it, as it was given to export.", metavar="FACTORY")
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Read pickled weights (.bin, .pt, .ckpt), which can run any code."),
    ] = False,
) -> None:
    """Run FILE against the eager sampler, step by step; exit code 1 if they end up too far apart.

    A graph runs in ONNX Runtime on the CPU and may differ by 1e-5. An engine is compared with the graph and the weights
    beside it; where its GPU is at hand it runs there, and may differ by 1e-3 after any step: a second engine is built
    for that, which gives every step's sample. In less than float32 cosines count, from 0.999 on.
    """
    start = whole_number("seed", seed)
    if not 0 <= start < 1 << 64:
        raise InputError(f"seed={seed} is not allowed; give a whole number from 0 to {(1 << 64) - 1}")
    manifest = read_manifest(file)
    made = manifest.engine
    if made is not None and not runs_here(file, manifest):
        return
    with needs_extra("export", "verify"):
        from samplegraph.export.verification.engine import rows_for
        from samplegraph.export.verification.rebuild import rebuild
        from samplegraph.export.verification.verify import verify as compare
        from samplegraph.models.load import BUILT_IN, load_model
        from samplegraph.models.parts.include import recorded

    source = model or manifest.model.name
    if model is None and source not in BUILT_IN:
        raise InputError(
            f"{file} was made from {source!r}, which is not built in; give --model with what it was made from"
        )

    cancelled = threading.Event()

    def work() -> tuple[Verification, str]:
        network = load_model(source, lora=lora or (), allow_pickle=allow_pickle)
        include, clip_skip = recorded(each.source for each in (*manifest.pre, manifest.post) if each)
        around = load_stages(
            source,
            pre or [],
            post,
            include,
            clip_skip=clip_skip,
            sample_shape=manifest.shown_shape,
            lora=lora or (),
            allow_pickle=allow_pickle,
        )
        if made is not None:
            sampler, sig = rebuild(manifest, network, around.pre, around.post, rows=rows_for(made))
            return against_eager(file, sampler, sig, start, cancelled)
        sampler, sig = rebuild(manifest, network, around.pre, around.post)
        tables, optimized = manifest.tables, manifest.optimized_for
        return compare(file, sampler, sig, tables.visited, optimized, manifest.precision, seed=start), ""

    quiet_engine()
    result, end_alone = interruptible(work, cancelled, PATIENCE if made is not None else 0.0)
    text = f"{file}: max error {result.error:.1e} relative to eager, {result.rows} sample(s), seed {seed}"
    more = (result.divergence(), f"its steps were not compared: {end_alone}" if end_alone else "")
    stdout().print("; ".join(filter(None, (text, *more))), soft_wrap=True, markup=False)
    if len(result.errors) > 1:
        stdout().print(step_table(result, "graph" if made is None else "engine"))
