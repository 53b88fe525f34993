"""The commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from samplegraph.export.cli import build, export, inspect, list, plan, run, triton, verify

app = typer.Typer(
    name="samplegraph",
    help="Compile denoiser + scheduler + step count into one ONNX graph, and run it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"samplegraph {version('samplegraph')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with an error.")] = False,
) -> None:
    pass


for command, module in ((export.export, export), (run.run, run), (inspect.inspect, inspect)):
    app.command(epilog=f"Example: {module.EXAMPLE}")(command)
app.command(epilog=f"Example: {verify.EXAMPLE}")(verify.verify)
app.command(epilog=f"Example: {plan.EXAMPLE}")(plan.plan)
app.command(epilog=f"Example: {build.EXAMPLE}")(build.build)
app.command(epilog=f"Example: {triton.EXAMPLE}")(triton.triton)
app.command("list", epilog=f"Example: {list.EXAMPLE}")(list.list_schedulers)
