"""``samplegraph verify``: compare a graph with the eager sampler that its manifest describes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samplegraph.export.cli.console import interruptible, quiet_engine, stdout
from samplegraph.export.cli.errors import needs_extra
from samplegraph.export.cli.steps import step_table
from samplegraph.export.cli.values import whole_number
from samplegraph.runtime import InputError, read_manifest

if TYPE_CHECKING:
    from samplegraph.export.verification.comparison import Verification

EXAMPLE = "samplegraph verify build/digits-ddim-25.onnx"


def verify(
    file: Annotated[Path, typer.Argument(help="A graph that `samplegraph export` wrote.", metavar="FILE")],
    model: Annotated[
        str | None, typer.Option(help="The model it was made from; the manifest's built-in one by default.")
    ] = None,
    seed: Annotated[str, typer.Option(help="Seed of the noise.", metavar="N")] = "0",
    lora: Annotated[
        list[str] | None,
        typer.Option(help="A LoRA that was fused into it; repeatable.", metavar="FILE[:SCALE]"),
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Read pickled weights (.bin, .pt, .ckpt), which can run any code."),
    ] = False,
) -> None:
    """Run FILE in ONNX Runtime against the eager sampler, step by step; exit code 1 if they end up more than 1e-5
    apart."""
    start = whole_number("seed", seed)
    if not 0 <= start < 1 << 64:
        raise InputError(f"seed={seed} is not allowed; give a whole number from 0 to {(1 << 64) - 1}")
    manifest = read_manifest(file)
    if manifest.engine is not None:
        raise InputError(f"{file}: is an engine, and verify runs graphs; give the .onnx file it was built from")
    with needs_extra("export", "verify"):
        from samplegraph.export.verification.rebuild import rebuild
        from samplegraph.export.verification.verify import verify as compare
        from samplegraph.models.load import BUILT_IN, load_model

    source = model or manifest.model.name
    if model is None and source not in BUILT_IN:
        raise InputError(
            f"{file} was made from {source!r}, which is not built in; give --model with what it was made from"
        )

    def work() -> Verification:
        sampler, sig = rebuild(manifest, load_model(source, lora=lora or (), allow_pickle=allow_pickle))
        tables, optimized = manifest.tables, manifest.optimized_for
        return compare(file, sampler, sig, tables.visited, optimized, manifest.precision, seed=start)

    quiet_engine()
    result = interruptible(work)
    text = f"{file}: max error {result.error:.1e} relative to eager, {result.rows} sample(s), seed {seed}"
    diverged = result.divergence()
    stdout().print(f"{text}; {diverged}" if diverged else text, soft_wrap=True, markup=False)
    if len(result.errors) > 1:
        stdout().print(step_table(result))
