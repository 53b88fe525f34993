"""``samplegraph build``: engines from a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from samplegraph.export.cli.console import phase_bars
from samplegraph.export.cli.engines import build_plans, split_targets
from samplegraph.export.cli.serving import Engines, serve
from samplegraph.export.engine.batch_profile import BatchProfile
from samplegraph.export.engine.builders import builder_kind
from samplegraph.export.engine.files import plan_engines
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.export.engine.trtexec import command_line
from samplegraph.runtime import InputError
from samplegraph.runtime.manifest_file import ENGINE_SUFFIXES

EXAMPLE = "samplegraph build build/digits-ddim-25.onnx --target sm89,sm120"


def build(
    graph: Annotated[
        Path,
        typer.Argument(help="A graph that `samplegraph export` wrote; one chunk is for its set.", show_default=False),
    ],
    target: Annotated[
        str,
        typer.Option(
            help="Compute capabilities, such as sm89 or sm86,sm89,sm120: one engine each.",
            metavar="SM",
            show_default=False,
        ),
    ] = "",
    builder: Annotated[
        str, typer.Option(help="tensorrt-rtx (needs no GPU), or tensorrt (builds on the GPU at hand).")
    ] = "tensorrt-rtx",
    batch: Annotated[
        str | None,
        typer.Option(
            help="Rows per call of a graph of --batch dynamic. Default there: 1:1:8.",
            metavar="MIN:OPT:MAX",
            show_default=False,
        ),
    ] = None,
    timing_cache: Annotated[
        Path | None,
        typer.Option(
            help="Keep measured kernels in this file; for --builder tensorrt.", metavar="FILE", show_default=False
        ),
    ] = None,
    workspace: Annotated[
        int | None,
        typer.Option(
            help="Most scratch memory of a layer, in MB. Default: the builder's.", metavar="MB", show_default=False
        ),
    ] = None,
    max_aux_streams: Annotated[
        int,
        typer.Option(
            help="Further CUDA streams that the engine may use, each with scratch memory; for --builder tensorrt.",
            metavar="N",
        ),
    ] = 0,
    optimization_level: Annotated[
        int | None,
        typer.Option(
            help="0 builds fastest, 5 runs fastest; for --builder tensorrt. Default: the builder's.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible", help="Later versions of the library run the engine too; for --builder tensorrt."
        ),
    ] = False,
    refittable: Annotated[
        bool,
        typer.Option("--refittable", help="Weights can be changed in the engine; for --builder tensorrt."),
    ] = False,
    triton: Annotated[
        Path | None,
        typer.Option(
            help="Write the graph, the engine, or with --builder tensorrt the engine to build, into this Triton model "
            "repository.",
            metavar="REPOSITORY",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --triton: name of the model. Default: the graph's.", show_default=False)
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="With --triton: version of the model. Default: 1.", metavar="N", show_default=False),
    ] = None,
    max_batch: Annotated[
        str | None,
        typer.Option(
            help="With --triton: the most rows merged into a call; 0: none. Default: 8 where it can.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --triton: replace that version and the model's config.pbtxt.")
    ] = False,
    print_trtexec: Annotated[
        bool, typer.Option("--print-trtexec", help="Print the vendor's equivalent command lines and build nothing.")
    ] = False,
) -> None:
    """Build TensorRT engines beside a graph: <stem>.<target>.engine, each with its sidecar .json.

    Precision is the graph's. Ctrl-C cancels; an engine is written whole or not at all.
    """
    kind = builder_kind(builder)
    profile = BatchProfile.parse(batch) if batch is not None else None
    settings = BuildSettings(
        profile, timing_cache, workspace, max_aux_streams, optimization_level, version_compatible, refittable
    )
    if triton is not None:
        if print_trtexec:
            raise InputError("print_trtexec does not go with triton, which changes the graph; leave one of them out")
        built = builder != "tensorrt-rtx" or bool(target)
        if settings != BuildSettings() and (not built or graph.suffix in ENGINE_SUFFIXES):
            raise InputError(f"{graph}: is served as it is with --triton; give --builder tensorrt, or no option of it")
        engines = Engines(kind, split_targets(target), settings) if built else None
        serve(graph, triton, name, version or "1", max_batch, force, engines)
        return
    for option, given in (("name", name), ("version", version), ("max_batch", max_batch), ("force", force or None)):
        if given is not None:
            raise InputError(f"{option}={given} is for --triton; give that too, or leave it out")
    plans = plan_engines(graph, kind, kind.choose_targets(split_targets(target)), settings)
    if print_trtexec:
        for plan in plans:
            typer.echo(command_line(plan))
        return
    kind.load()
    with phase_bars() as show:
        build_plans(plans, show)
