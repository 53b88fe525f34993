"""``samplegraph triton``: a model repository for Triton Inference Server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samplegraph.export.cli.serving import serve

EXAMPLE = "samplegraph triton build/digits-ddim-25-bdynamic.onnx --repository build/models --max-batch 16"


def triton(
    file: Annotated[
        Path,
        typer.Argument(
            help="A graph of layout unrolled or loop, a chunk of a set, or an engine.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    repository: Annotated[
        Path, typer.Option(help="The repository's folder; made if it is not there.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the graph's.", show_default=False)
    ] = None,
    version: Annotated[str, typer.Option(help="Version of the model.", metavar="N")] = "1",
    max_batch: Annotated[
        str | None,
        typer.Option(
            help="The most rows Triton merges into a call; 0: none. Default: 8 where it can.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace that version and the model's config.pbtxt.")] = False,
) -> None:
    """Write FILE into a Triton model repository, as `samplegraph build FILE --triton REPOSITORY` does.

    A graph exported with --batch dynamic is changed so that Triton can merge the calls of several callers: step_noise
    is (B, K, ...) there and guidance_scale (B, 1), so that each sample keeps its own.
    """
    serve(file, repository, name, version, max_batch, force)
