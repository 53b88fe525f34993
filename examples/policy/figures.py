"""Figures of the policies: success through torch, the graph in Python and C++, and the pace of the C++ loop."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from examples import native
from examples.policy.evaluate import HELD_OUT, SOURCE, control, evaluate, exported
from examples.policy.world import CANDIDATES as ALL
from examples.policy.world import scenes

FILE, README = Path(__file__).with_name("figures.json"), Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
SCENES, STEPS, CANDIDATES = 300, (4, 8, 16), (ALL, 1)
RATE, RATE_SCENES, RATE_STEPS = 50.0, 10, 8

#: Objective, steps, and how many plans the safest is chosen from.
Kind = tuple[str, int, int]


def measure(kinds: Sequence[Kind], number: int, folder: Path, *, with_pace: bool) -> dict[str, Any]:
    """Drive ``number`` held-out scenes three ways under each of ``kinds``, and print each as it ends.

    Args:
        with_pace: run the C++ loop at ``RATE`` too, for each objective.
    """
    binary, listed = native.program(SOURCE, "control_loop"), scenes(number, HELD_OUT)
    found: dict[str, Any] = {"machine": machine.describe(1), "scenes": number, "success": [], "pace": []}
    for objective, steps, candidates in kinds:
        outcome = evaluate(objective, steps, listed, folder, binary, candidates)
        rates = dict(zip(("eager", "graph", "cpp"), outcome.rates, strict=True))
        row = {"objective": objective, "steps": steps, "candidates": candidates, **rates}
        found["success"].append({**row, "plan_ms": outcome.native["plan_ms"]})
        print(_success_row(found["success"][-1]), flush=True)
    for objective in dict.fromkeys(kind[0] for kind in kinds) if with_pace else ():
        said = control(exported(objective, RATE_STEPS, folder), listed[:RATE_SCENES], binary, RATE)
        kept = {name: said[name] for name in ("rate_hz", "ticks", "missed_deadlines", "plan_ms", "wake_ms")}
        found["pace"].append({"objective": objective, "steps": RATE_STEPS, "candidates": ALL, **kept})
        print(_pace_row(found["pace"][-1]), flush=True)
    return found


def write(found: dict[str, Any]) -> None:
    """The figures as JSON, and as tables between the marks of README.md."""
    readme = README.read_text(encoding="utf-8")
    before, rest = readme.split(BEGIN)
    for path, text in (
        (FILE, json.dumps(found, indent=1) + "\n"),
        (README, f"{before}{BEGIN}\n{tables(found)}\n{END}{rest.split(END)[1]}"),
    ):
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)


def tables(found: dict[str, Any]) -> str:
    """Both tables, in Markdown; the second where the loop was run at ``RATE``."""
    success = [
        f"| {found['scenes']} scenes | eager | graph, Python | graph, C++ | a plan in C++, p50 |",
        "|---|---|---|---|---|",
        *map(_success_row, found["success"]),
    ]
    if not found["pace"]:
        return "\n".join(success)
    pace = [
        f"| C++ at {RATE:g} Hz | ticks | missed | a plan, p50 | p90 | p99 | max | a tick late by, p50 | p99 | max |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *map(_pace_row, found["pace"]),
    ]
    return "\n".join([*success, "", *pace])


def _kind(row: dict[str, Any]) -> str:
    plans = "one plan" if row["candidates"] == 1 else f"the safest of {row['candidates']}"
    return f"{row['objective']}, {row['steps']} steps, {plans}"


def _success_row(row: dict[str, Any]) -> str:
    rates = " | ".join(f"{100 * row[way]:.1f} %" for way in ("eager", "graph", "cpp"))
    return f"| {_kind(row)} | {rates} | {row['plan_ms']['p50']:.2f} ms |"


def _pace_row(row: dict[str, Any]) -> str:
    plan = " | ".join(f"{row['plan_ms'][name]:.2f} ms" for name in ("p50", "p90", "p99", "max"))
    wake = " | ".join(f"{row['wake_ms'][name]:.2f} ms" for name in ("p50", "p99", "max"))
    return f"| {_kind(row)} | {row['ticks']} | {row['missed_deadlines']} | {plan} | {wake} |"
