"""``samplegraph verify``: compare a graph with the eager sampler that its manifest describes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samplegraph.export.cli.console import interruptible, quiet_engine, stdout
from samplegraph.export.cli.errors import needs_extra
from samplegraph.export.cli.values import whole_number
from samplegraph.runtime import InputError, read_manifest

EXAMPLE = "samplegraph verify build/digits-ddim-25.onnx"


def verify(
    file: Annotated[Path, typer.Argument(help="A graph that `samplegraph export` wrote.", metavar="FILE")],
    model: Annotated[
        str | None, typer.Option(help="The model it was made from; the manifest's built-in one by default.")
    ] = None,
    seed: Annotated[str, typer.Option(help="Seed of the noise.", metavar="N")] = "0",
) -> None:
    """Run FILE in ONNX Runtime against the eager sampler; exit code 1 if they differ by more than 1e-5."""
    start = whole_number("seed", seed)
    if not 0 <= start < 1 << 64:
        raise InputError(f"seed={seed} is not allowed; give a whole number from 0 to {(1 << 64) - 1}")
    manifest = read_manifest(file)
    with needs_extra("export", "verify"):
        from samplegraph.export.rebuild import rebuild
        from samplegraph.export.verify import verify as compare
        from samplegraph.models.load import BUILT_IN, load_model

    source = model or manifest.model.name
    if model is None and source not in BUILT_IN:
        raise InputError(
            f"{file} was made from {source!r}, which is not built in; give --model package.module:factory"
        )

    def work() -> str:
        sampler, sig = rebuild(manifest, load_model(source))
        result = compare(file, sampler, sig, seed=start)
        return f"{file}: max error {result.error:.1e} relative to eager, {result.rows} sample(s), seed {seed}"

    quiet_engine()
    stdout().print(interruptible(work), soft_wrap=True, markup=False)
