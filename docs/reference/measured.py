"""The measurements behind the figures and the guide: made once, kept in ``docs/measured.json``, made anew on demand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from docs.reference import digits, mixture
from docs.reference.figure import ROOT
from docs.reference.rows import BUDGETS, FEW, RESPACED_BUDGETS, TOKENS, Row, respaced, rows, within
from samplegraph.schedulers import OptionError

FILE = ROOT / "docs" / "measured.json"
#: What is measured -> row -> NFE -> the number of steps, and what was found.
Numbers = dict[str, dict[str, dict[int, list[float]]]]
DIGITS, MIXTURE, DISTILLED, RESPACED = "digits", "mixture", "distilled", "respaced"
#: Digits are drawn with no more evaluations, and by schedulers for distilled models, from one that is not, with fewer.
DIGITS_MOST, FEW_MOST = 50, 8


@dataclass(frozen=True)
class Task:
    """One row measured at some numbers of steps."""

    kind: str
    row: Row
    steps: dict[int, int]

    def run(self) -> dict[int, list[float]]:
        """What is found, by NFE; nothing where the network cannot be run so."""
        found = {}
        for nfe, steps in self.steps.items():
            with suppress(OptionError):
                found[nfe] = [steps, *self._found(steps)]
        return found

    def _found(self, steps: int) -> list[float]:
        scheduler = self.row.create(steps)
        if self.kind == DIGITS:
            return digits.judged(scheduler)
        return [mixture.distance(scheduler, distilled=self.kind == DISTILLED)]


def read() -> Numbers:
    """The numbers that were kept."""
    if not FILE.exists():
        return {}
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        kind: {label: {int(nfe): values for nfe, values in found.items()} for label, found in by_row.items()}
        for kind, by_row in kept.items()
    }


def measured(kept: Numbers, jobs: int) -> Numbers:
    """``kept`` with all that it lacks, each row kept as soon as it is there; rows that are no more are left out."""
    tasks = list(missing(kept))
    began = time.monotonic()
    numbers = {kind: dict(kept.get(kind, {})) for kind in (DIGITS, MIXTURE, DISTILLED, RESPACED)}
    with get_context("spawn").Pool(jobs, _one_thread) as pool:
        for done, (task, found) in enumerate(pool.imap_unordered(_run, tasks), 1):
            known = numbers[task.kind].setdefault(task.row.label, {})
            numbers[task.kind][task.row.label] = dict(sorted((known | found).items()))
            _write(numbers)
            seconds = time.monotonic() - began
            print(f"[{done}/{len(tasks)}, {seconds:.0f} s] {task.kind}: {task.row.label}", flush=True)
    return _write(numbers)


def missing(kept: Numbers) -> Iterator[Task]:
    """What has not been measured, the longest first."""
    plans = [(row, _plan(row, BUDGETS)) for row in rows()]
    for kind in (DIGITS, MIXTURE, DISTILLED):
        for row, steps in plans:
            known = kept.get(kind, {}).get(row.label, {})
            most = BUDGETS[-1] if kind != DIGITS else FEW_MOST if row.family == FEW else DIGITS_MOST
            lacks = {nfe: n for nfe, n in steps.items() if nfe not in known and nfe <= most}
            fits = {DIGITS: True, MIXTURE: row.family != TOKENS, DISTILLED: row.family == FEW}[kind]
            if lacks and fits:
                yield Task(kind, row, lacks)
    for row in respaced():
        known = kept.get(RESPACED, {}).get(row.label, {})
        if lacks := {nfe: n for nfe, n in _plan(row, RESPACED_BUDGETS).items() if nfe not in known}:
            yield Task(RESPACED, row, lacks)


def _plan(row: Row, budgets: tuple[int, ...]) -> dict[int, int]:
    """NFE -> number of steps."""
    return {nfe: scheduler.steps for nfe, scheduler in within(budgets, row.create)}


def _run(task: Task) -> tuple[Task, dict[int, list[float]]]:
    return task, task.run()


def _one_thread() -> None:
    torch.set_num_threads(1)


def _write(numbers: Numbers) -> Numbers:
    """In the order of the rows; a line each."""
    plain, laid_out = [row.label for row in rows()], [row.label for row in respaced()]
    ordered = {
        kind: {each: found[each] for each in (laid_out if kind == RESPACED else plain) if each in found}
        for kind, found in numbers.items()
    }
    kinds = []
    for kind, found in ordered.items():
        lines = ",\n".join(f"  {json.dumps(label)}: {json.dumps(values)}" for label, values in found.items())
        kinds.append(f' "{kind}": {{\n{lines}\n }}')
    text = "{\n" + ",\n".join(kinds) + "\n}\n"
    partial = FILE.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(FILE)
    return ordered
