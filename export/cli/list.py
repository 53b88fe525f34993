"""``samplegraph list``: the schedulers."""

from __future__ import annotations

from samplegraph.export.cli.console import stdout
from samplegraph.export.cli.errors import needs_extra

EXAMPLE = "samplegraph list"
#: Step count at which NFE and noise are shown.
STEPS = 25


def list_schedulers() -> None:
    """List the schedulers: order, evaluations (NFE) and noise slices at 25 steps, paper, diffusers' name."""
    with needs_extra("export", "list"):
        from samplegraph.schedulers import OptionError, create, names, scheduler_class
    from rich.table import Table

    table = Table()
    for column in ("scheduler", "order", f"NFE at {STEPS} steps", "noise slices", "paper", "diffusers class"):
        numeric = column not in ("scheduler", "paper", "diffusers class")
        table.add_column(column, justify="right" if numeric else "left", no_wrap=column == "scheduler")
    for name in names():
        cls = scheduler_class(name)
        try:
            scheduler = create(name, STEPS)
            profile = scheduler.profile()
            numbers = (str(scheduler.order), str(profile.nfe), str(profile.noise_slices))
        except OptionError:  # one that cannot do 25 steps, or needs options
            numbers = ("-", "-", "-")
        table.add_row(name, *numbers, cls.paper, cls.diffusers_class or "-")
    stdout().print(table)
