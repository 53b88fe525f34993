"""Coefficient tables of a graph of one evaluation: those of its manifest, and those of a file beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import Manifest, Tensor
from samplegraph.runtime.manifest_json import coefficient_table
from samplegraph.runtime.manifest_layouts import CoefficientTable, Recurrence

FORMAT = "samplegraph-plan"


def plan_file(path: Path) -> Path:
    """Where `samplegraph plan` puts the tables for further step counts: the graph's full name + ``.plan.json``."""
    return path.with_name(f"{path.name}.plan.json")


def table_for(path: Path, known: Recurrence, steps: int) -> CoefficientTable:
    """The table of ``steps`` steps.

    Raises:
        InputError: there is none, or the file beside the graph is damaged or for another sampler.
    """
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise InputError(f"steps={steps!r} is not allowed; give a whole number")
    planned = read_tables(plan_file(path), known) if known.constants is None else []
    tables = {t.steps: t for t in (*planned, *known.tables)}
    if steps not in tables:
        remedy = f"make one with `samplegraph plan {path} --steps {steps}`"
        if known.constants is not None:
            remedy = f"export it with --steps {known.tables[0].steps},{steps}"
        found = ", ".join(map(str, sorted(tables)))
        raise InputError(f"steps={steps}: {path} has tables for {found} steps; {remedy}")
    return tables[steps]


def read_tables(file: Path, known: Recurrence) -> list[CoefficientTable]:
    """The tables in ``file``; none where it does not exist.

    Raises:
        InputError: it is damaged, or for another sampler.
    """
    if not file.is_file():
        return []
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["format"] != FORMAT or data["sampler"] != known.sampler:
            raise ValueError("it is for another sampler")
        tables = [coefficient_table(t) for t in data["tables"]]
        for table in tables:
            table.check(len(known.registers), known.slices)
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{file}: cannot be used ({error}); make it again with `samplegraph plan`") from error
    return tables


def tables_json(known: Recurrence, tables: list[CoefficientTable]) -> str:
    """The text of such a file."""
    data = {"format": FORMAT, "sampler": known.sampler, "tables": [asdict(t) for t in tables]}
    return json.dumps(data, sort_keys=True, indent=1, allow_nan=False) + "\n"


def drawing(manifest: Manifest, slices: int) -> Manifest:
    """The manifest, its noise that of a sampler which draws so many slices."""
    shape = next((t.shape for t in manifest.caller if t.role in ("noise", "init_sample")), ())
    draws = next((t for t in manifest.caller if t.role == "step_noise"), None)
    caller = tuple(t for t in manifest.caller if t.role != "step_noise")
    if slices:
        one = draws or Tensor("step_noise", "float32", (), "step_noise", "unit normal, one slice per draw")
        caller = (*caller, replace(one, shape=(slices, *shape)))
    return replace(manifest, caller=caller, noise=replace(manifest.noise, slices=slices))
