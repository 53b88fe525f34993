"""docs/schedulers.md is what ``make docs`` writes; its figures are small and its numbers those of the registry."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplegraph.schedulers import create, names

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "schedulers.md"


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """``reference("page")`` is the module ``docs.reference.page``."""
    sys.path.insert(0, str(ROOT))
    yield lambda module: import_module(f"docs.reference.{module}")
    sys.path.remove(str(ROOT))


def test_the_page_is_what_the_registry_and_the_numbers_say(reference: Any) -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == reference("page").page(), "docs/schedulers.md is out of date: run `make docs`"


def test_the_page_has_every_scheduler() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^\| \[(\w+)\]\(#", text.partition("## All schedulers")[2], re.MULTILINE) == list(names())
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(names())


def test_figures_are_small_and_say_nothing_of_when_they_were_drawn() -> None:
    figures = re.findall(r"\]\(images/(\S+\.svg)\)", PAGE.read_text(encoding="utf-8"))
    assert set(figures) == {file.name for file in IMAGES.glob("*.svg")}
    for name in figures:
        text = (IMAGES / name).read_text(encoding="utf-8")
        assert 5_000 < len(text) < 300_000, name
        assert "<dc:date>" not in text


def test_every_scheduler_is_in_the_figures(reference: Any) -> None:
    """What stands in no panel has a reason."""
    rows = reference("rows")
    shown = [row.name for row in rows.rows()]
    assert set(shown) | set(rows.APART) == set(names())
    assert set(rows.DISTILLED) <= set(shown)
    assert {row.family for row in rows.rows()} == set(rows.FAMILIES)


def test_a_figure_is_drawn_alike_twice(reference: Any, tmp_path: Path) -> None:
    panels = reference("panels")
    axes = panels.Axes("title", "error", (0.1, 1.0), (1, 2, 4), dashed="x")
    for name in ("a.svg", "b.svg"):
        panels.draw(tmp_path / name, {"family": {"ddim": {1: 0.5, 4: 0.2}, "x": {2: 5.0}}}, axes)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_numbers_are_of_what_is_measured(reference: Any) -> None:
    """Every row has been measured, on digits with 50 evaluations, where it is not for distilled models."""
    measured, rows = reference("measured"), reference("rows")
    numbers, every = measured.read(), rows.rows()
    respaced = numbers.pop("respaced")
    assert {label.split(", ")[0] for label in respaced} == {row.name for row in rows.respaced()}
    for kind, found in numbers.items():
        families = {"distilled": (rows.FEW,), "mixture": set(rows.FAMILIES) - {rows.TOKENS}}.get(kind, rows.FAMILIES)
        asked = [row.label for row in every if row.family in families]
        assert list(found) == asked, "docs/measured.json is out of date: run `make docs`"
    for row in every:
        most = measured.FEW_MOST if row.family == rows.FEW else 50
        drawn = numbers["mixture"].get(row.label, {})
        assert {nfe for nfe in drawn if nfe <= most} <= set(numbers["digits"][row.label]), row.label
    assert all(0 <= right <= 1 for found in numbers["digits"].values() for _, right, _ in found.values())
    assert numbers["digits"]["dpm_multistep"][16][1] >= 0.95


def test_the_first_choice_is_among_the_best_of_both(reference: Any) -> None:
    guide = reference("guide")
    good = guide.Entry("a", steps=4, distance=0.2, right=1.0, spread=1.0)
    near = replace(good, label="b", right=0.99, spread=0.9, distance=0.1)
    blurred = replace(good, label="c", spread=0.01, distance=0.05)
    wrong = replace(good, label="d", right=0.6, distance=0.3)
    found = [wrong, blurred, near, good]
    assert [e.label for e in guide.by_digits(found)] == ["a", "b", "c", "d"]
    assert [e.label for e in guide.by_mixture(found)] == ["c", "b", "a", "d"]
    assert guide.first_choice(found).label == "b"
    assert [e.good for e in (good, near, blurred, wrong)] == [True, True, False, False]
    alone = guide.Entry("e", steps=4, distance=0.04)
    assert guide.first_choice([*found, alone]).label == "e"


def test_a_perfect_consistency_model_needs_one_step_and_a_denoiser_many(reference: Any) -> None:
    """The mixture's closed forms are consistent: both end at the data."""
    distance = reference("mixture").distance
    assert distance(create("lcm", 1), distilled=True) < 0.02 < 0.5 < distance(create("lcm", 1), distilled=False)
    assert distance(create("dpm_multistep", 50, respacing="karras"), distilled=False) < 0.01
    exact = create("dpm_multistep", 50, respacing="karras")
    assert distance(exact, distilled=True) > 0.05  # an ODE solver wants the denoiser


def test_all_that_solve_an_equation_converge(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference("convergence"), "BUDGETS", (24, 48))
    panels = reference("convergence").curves()
    assert any(label.startswith("ddim = euler") for label in panels["deterministic, single step"])
    for curves in panels.values():
        for label, curve in curves.items():
            nfe, error = np.array([*curve]), np.array([*curve.values()])
            slope = np.polyfit(np.log(nfe), np.log(error), 1)[0]
            name = label.split()[0].rstrip(",")
            # score_sde_vp ends at sampling_eps, where any run is still off; churn costs karras_ve an order; the error
            # of seeds_3 changes its sign between 10 and 20 NFE; restart goes over its own sigmas from 20 steps on.
            known = {"score_sde_vp": 0.5, "karras_ve": 1, "seeds_3": 0.5, "restart": 1}
            order = known.get(name) or create(name, 16).order
            assert slope < -0.8 * min(order, 2), label


def test_grids_are_grouped_by_what_they_are(reference: Any) -> None:
    panels = reference("grids").default_grids()
    members = [name for curves in panels.values() for label in curves for name in label.split(", ")]
    assert len(members) == len(set(members))
    assert any({"heun", "kdpm2"} <= set(label.split(", ")) for label in panels["deterministic, single step"])
    spacings, _ = reference("grids").layouts().values()
    assert "exponential, lu" in spacings
