"""``samplegraph list``: the schedulers, or one in full."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from samplegraph.export.cli.console import stdout
from samplegraph.export.cli.errors import needs_extra
from samplegraph.runtime import InputError

if TYPE_CHECKING:
    from samplegraph.export.cli.list_facts import Facts
    from samplegraph.schedulers import Found

EXAMPLE = "samplegraph list dpm_multistep"
_NUMBERS = ("order", "state")


def list_schedulers(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A scheduler to show in full.", show_default=False)
    ] = None,
    words: Annotated[
        str | None,
        typer.Option("--find", metavar="WORDS", help='What others call it: "dpm++ 2m karras".', show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON and nothing else.")] = False,
) -> None:
    """List the schedulers: order, evaluations (NFE) and noise slices of N steps, state, paper, other names.

    --find gives the scheduler and the options for a name of diffusers, A1111, ComfyUI or k-diffusion.
    """
    with needs_extra("export", "list"):
        from samplegraph.export.cli.list_facts import facts_of
        from samplegraph.schedulers import find, names
    if words is not None:
        if name is not None:
            raise InputError(f"{name!r} and --find are both given; give one of them")
        found_so = find(words)
        if as_json:
            typer.echo(json.dumps([asdict(each) for each in found_so], indent=2))
        else:
            stdout().print(_found(found_so))
        return
    if as_json:
        found = {each: facts_of(each).to_json() for each in names()} if name is None else facts_of(name).to_json()
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
        return
    if name is None:
        stdout().print(_all([facts_of(each) for each in names()]))
        return
    facts = facts_of(name)
    console = stdout()
    for paragraph in facts.description:
        console.print(_plain(paragraph), markup=False)
        console.print()
    console.print(_one(facts))
    console.print(_options(facts))


def _found(rows: list[Found]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in ("name", "scheduler", "what to write"):
        table.add_column(column, overflow="fold")
    for row in rows:
        options = "".join(f" --set {key}={_written(value)}" for key, value in row.options.items())
        table.add_row(row.named, row.scheduler, f"--scheduler {row.scheduler}{options}")
    return table


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _all(rows: list[Facts]) -> Table:
    columns = ("scheduler", "order", "NFE", "noise", "state", "affine", "paper", "diffusers class", "k-diffusion")
    from samplegraph.export.cli.list_facts import COUNTS

    caption = f"NFE: evaluations of the model in N steps; * at N = {COUNTS[-1]}. Papers: arXiv. state: tensors."
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, caption=caption, caption_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left", overflow="fold")
    table.columns[0].no_wrap = True
    for f in rows:
        nfe, noise = (law.replace(f" at N = {COUNTS[-1]}", "*") for law in (f.nfe, f.noise))
        own = (f.name, _number(f.order), nfe, noise, _number(f.state), _yes(f.affine))
        table.add_row(*own, f.paper.removeprefix("arXiv:") or "-", f.diffusers or "-", f.k_diffusion or "-")
    return table


def _one(facts: Facts) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    uniform = " (uniform)" if facts.noise_kind == "uniform" else ""
    rows = {
        "scheduler": facts.name,
        "order": _number(facts.order),
        "NFE of N steps": facts.nfe,
        "noise slices": facts.noise + uniform,
        "state tensors": _number(facts.state),
        "affine": _yes(facts.affine),
        "further inputs": ", ".join(facts.inputs) or "none",
        "paper": facts.paper or "-",
        "diffusers class": facts.diffusers or "-",
        "k-diffusion": facts.k_diffusion or "-",
        "built-in model": facts.model,
        "swaps with": ", ".join(other for other in facts.compatibles if other != facts.name) or "none",
    }
    for label, text in rows.items():
        table.add_row(label, text)
    return table


def _options(facts: Facts) -> Table:
    from samplegraph.export.cli.list_options import written

    table = Table(title="options", title_justify="left")
    for column in ("option", "default", "allowed", "meaning"):
        table.add_column(column, overflow="fold", no_wrap=column == "option")
    for each in facts.options:
        table.add_row(each.name, written(each.default), each.allowed or "-", _plain(each.meaning) or "-")
    return table


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _plain(text: str) -> str:
    return text.replace("``", "")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
