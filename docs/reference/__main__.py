"""``python -m docs.reference``: measure what docs/measured.json lacks, and write docs/schedulers.md and its figures."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from typing import TypeVar

from docs.reference import convergence, digits_table, grids, panels
from docs.reference.figure import IMAGES, ROOT
from docs.reference.measured import DIGITS, DISTILLED, MIXTURE, Numbers, measured, read
from docs.reference.page import page
from docs.reference.rows import BUDGETS, FAMILIES, FEW, FLOW, MULTI, SDE_MULTI, SDE_SINGLE, SINGLE, TOKENS, Row, rows

T = TypeVar("T")
PAGE = ROOT / "docs" / "schedulers.md"
#: Figure of digits -> its families.
DIGITS_FIGURES = {
    "digits-deterministic": (SINGLE, MULTI),
    "digits-stochastic": (SDE_SINGLE, SDE_MULTI),
    "digits-others": (FLOW, FEW, TOKENS),
}


def main() -> None:
    """Numbers, figures, text; the time that each takes is printed."""
    parser = argparse.ArgumentParser(prog="python -m docs.reference", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure everything anew")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that measure")
    options = parser.parse_args()
    began = time.monotonic()
    numbers = measured({} if options.measure else read(), options.jobs)
    print(f"measured: {time.monotonic() - began:.0f} s", flush=True)
    _draw_measured(numbers, rows())
    print(f"tables and curves: {time.monotonic() - began:.0f} s", flush=True)
    known = convergence.curves()
    title = "Gaussian data, exact denoiser (*: over noise levels of its own)"
    axes = panels.Axes(title, "relative error of the deviation", (1e-6, 1.0), convergence.BUDGETS)
    panels.draw(IMAGES / "convergence.svg", _in_order(known), axes)
    print(f"orders: {time.monotonic() - began:.0f} s", flush=True)
    grids.draw(IMAGES / "grids.svg", _in_order(grids.default_grids()) | grids.layouts())
    PAGE.write_text(page(), encoding="utf-8")
    print(f"docs/schedulers.md and its figures are written: {time.monotonic() - began:.0f} s in all")


def _draw_measured(numbers: Numbers, every: list[Row]) -> None:
    for name, families in DIGITS_FIGURES.items():
        shown = {f: {r.label: numbers[DIGITS][r.label] for r in every if r.family == f} for f in families}
        digits_table.draw(IMAGES / f"{name}.svg", shown)
    curves = {
        family: {
            **{r.label: _distances(numbers, MIXTURE, r) for r in every if r.family == family and family != FEW},
            **{f"{r.label}: distilled": _distances(numbers, DISTILLED, r) for r in every if r.family == family == FEW},
            **{f"{r.label}: plain": _distances(numbers, MIXTURE, r) for r in every if r.family == family == FEW},
        }
        for family in FAMILIES
        if family != TOKENS
    }
    title = "Mixture of three Gaussians, exact denoiser, default options"
    axes = panels.Axes(title, "Wasserstein distance / deviation", (2e-3, 3.0), BUDGETS, dashed="plain")
    panels.draw(IMAGES / "mixture.svg", curves, axes)


def _distances(numbers: Numbers, kind: str, row: Row) -> dict[int, float]:
    return {nfe: values[1] for nfe, values in numbers[kind][row.label].items()}


def _in_order(families: Mapping[str, T]) -> dict[str, T]:
    return {family: families[family] for family in FAMILIES if family in families}


if __name__ == "__main__":
    main()
