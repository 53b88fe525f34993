"""The guide "which sampler at how many steps", from the numbers that were measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from docs.reference import guide_text
from docs.reference.measured import DIGITS, DISTILLED, MIXTURE, RESPACED, Numbers
from docs.reference.rows import (
    BUDGETS,
    FEW,
    FLOW,
    MULTI,
    RESPACED_BUDGETS,
    RESPACINGS,
    SDE_MULTI,
    SDE_SINGLE,
    SINGLE,
    Row,
    column,
)

#: What people choose between: the families of each.
KINDS: Mapping[str, tuple[str, ...]] = {
    "Deterministic": (SINGLE, MULTI),
    "Stochastic": (SDE_SINGLE, SDE_MULTI),
    "Flow": (FLOW,),
}
#: Part of 100 digits by which two schedulers have to differ for it to count, and what counts as good.
NOISE, RIGHT, SPREAD = 0.02, 0.95, (0.8, 1.25)
#: Of each list so many are shown.
SHOWN = 3


@dataclass(frozen=True)
class Entry:
    """What was measured of a row within a budget; not a number where it drew no digits."""

    label: str
    steps: int
    distance: float
    right: float = math.nan
    spread: float = math.nan

    @property
    def off(self) -> float:
        """How far the variance is from people's, in either direction."""
        return abs(math.log(max(self.spread, 1e-3)))

    @property
    def good(self) -> bool:
        """Whether the digits are what they should be."""
        return self.right >= RIGHT and SPREAD[0] <= self.spread <= SPREAD[1]


def guide(numbers: Numbers, rows: Sequence[Row]) -> str:
    """The guide and the figures under it."""
    kinds = {kind: [row.label for row in rows if row.family in families] for kind, families in KINDS.items()}
    tables = {kind: {b: entries(numbers, labels, b) for b in BUDGETS} for kind, labels in kinds.items()}
    parts = [guide_text.HEAD, guide_text.COUNTS, _counts(tables), _too_few(tables), guide_text.LISTS]
    for kind, by_budget in tables.items():
        parts += [f"### {kind}\n\n", _lists(by_budget)]
    few = [row.label for row in rows if row.family == FEW]
    tried = guide_text.RESPACED.format(respacings=", ".join(f"`{each}`" for each in RESPACINGS))
    return "".join([*parts, tried, _respaced(numbers), guide_text.FEW, _few(numbers, few), guide_text.CAPTIONS])


def entries(numbers: Numbers, labels: Iterable[str], budget: int) -> list[Entry]:
    """The rows that were measured within this budget and in no smaller one."""
    found = []
    for label in labels:
        digits = numbers[DIGITS].get(label, {})
        for nfe, (steps, distance) in numbers[MIXTURE].get(label, {}).items():
            if column(nfe) == budget:
                found.append(Entry(label, int(steps), distance, *digits.get(nfe, [])[1:]))
    return found


def drew_digits(found: Sequence[Entry]) -> bool:
    """Whether all of them did, so that they can be compared by that."""
    return not any(math.isnan(e.right) for e in found)


def by_digits(found: Sequence[Entry]) -> list[Entry]:
    """Those that are read as well as the best, by their variance; then the others, by how they are read."""
    best = max((e.right for e in found), default=0.0)
    return sorted(found, key=lambda e: (max(0.0, best - NOISE - e.right), e.off, e.distance))


def by_mixture(found: Sequence[Entry]) -> list[Entry]:
    """By their distance."""
    return sorted(found, key=lambda e: e.distance)


def first_choice(found: Sequence[Entry]) -> Entry:
    """The one whose worse place in the two orders is best; of equal ones that with the better sum."""
    mixture = by_mixture(found)
    digits = by_digits(found) if drew_digits(found) else mixture
    places = {e: (digits.index(e), mixture.index(e)) for e in found}
    return min(found, key=lambda e: (max(places[e]), sum(places[e])))


def _counts(tables: Mapping[str, Mapping[int, Sequence[Entry]]]) -> str:
    body = []
    for budget in BUDGETS:
        found = [t[budget] for t in tables.values()]
        body.append([str(budget), *(f"{sum(e.good for e in f)} of {len(f)}" if drew_digits(f) else "-" for f in found)])
    return table(("NFE", *(kind.lower() for kind in tables)), body)


def _too_few(tables: Mapping[str, Mapping[int, Sequence[Entry]]]) -> str:
    every = {budget: [e for by_budget in tables.values() for e in by_budget[budget]] for budget in BUDGETS}
    none = [str(b) for b, found in every.items() if drew_digits(found) and not any(e.good for e in found)]
    return f"With {' or '.join(none)} NFE none does: that takes a distilled model.\n\n" if none else ""


def _lists(by_budget: Mapping[int, Sequence[Entry]]) -> str:
    body = []
    for budget, found in by_budget.items():
        if found:
            digits = (f"{_named(e)} ({e.steps}; {100 * e.right:.0f} %, {e.spread:.2f})" for e in by_digits(found))
            mixture = (f"{_named(e)} ({e.steps}; {_short(e.distance)})" for e in by_mixture(found))
            shown = (", ".join(list(each)[:SHOWN]) for each in (digits if drew_digits(found) else ["-"], mixture))
            body.append([str(budget), f"**{_named(first_choice(found))}**", *shown])
    return table(("NFE", "first choice", "digits", "mixture"), body)


def _respaced(numbers: Numbers) -> str:
    body = []
    for name in dict.fromkeys(label.partition(", ")[0] for label in numbers[RESPACED]):
        cells = []
        for budget in RESPACED_BUDGETS:
            tried = {"default": _at(numbers[MIXTURE].get(name, {}), budget)}
            tried |= {each: _at(numbers[RESPACED].get(f"{name}, respacing={each}", {}), budget) for each in RESPACINGS}
            best = min(tried, key=lambda each: tried[each])
            cells += [_short(tried["default"]), f"`{best}` {_short(tried[best])}"]
        body.append([_linked(name), *cells])
    return table(("scheduler", *(f"{b} NFE: {what}" for b in RESPACED_BUDGETS for what in ("default", "best"))), body)


def _at(found: Mapping[int, list[float]], budget: int) -> float:
    return next((values[1] for nfe, values in found.items() if column(nfe) == budget), math.nan)


def _few(numbers: Numbers, labels: Iterable[str]) -> str:
    body = []
    for label in labels:
        for kind, known in (("distilled", DISTILLED), ("plain", MIXTURE)):
            found = {column(nfe): values[1] for nfe, values in numbers[known].get(label, {}).items()}
            body.append([_linked(label), kind, *(_short(found[b]) if b in found else "-" for b in BUDGETS)])
    return table(("scheduler", "network", *(str(b) for b in BUDGETS)), body)


def _named(entry: Entry) -> str:
    return _linked(entry.label)


def _linked(label: str) -> str:
    name, _, options = label.partition(", ")
    return f"[{name}](#{name})" + (f" `{options}`" if options else "")


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, and the empty line after it."""
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines) + "\n"
