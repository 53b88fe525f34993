"""docs/schedulers.md is what ``make docs`` writes; its figures are small and their numbers those of the registry."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplegraph.schedulers import create, names

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
FIGURES = ("accuracy.svg", "convergence.svg", "grids.svg")


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """``reference("page")`` is the module ``docs.reference.page``."""
    sys.path.insert(0, str(ROOT))
    yield lambda module: import_module(f"docs.reference.{module}")
    sys.path.remove(str(ROOT))


def test_the_page_is_what_the_registry_says(reference: Any) -> None:
    written = (ROOT / "docs" / "schedulers.md").read_text(encoding="utf-8")
    assert written == reference("page").page(), "docs/schedulers.md is out of date: run `make docs`"


def test_the_page_has_every_scheduler() -> None:
    text = (ROOT / "docs" / "schedulers.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[(\w+)\]\(#", text, re.MULTILINE) == list(names())
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(names())


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_small_and_say_nothing_of_when_they_were_drawn(name: str) -> None:
    text = (IMAGES / name).read_text(encoding="utf-8")
    assert 5_000 < len(text) < 300_000
    assert "<dc:date>" not in text


def test_a_figure_is_drawn_alike_twice(reference: Any, tmp_path: Path) -> None:
    accuracy, figure = reference("accuracy"), reference("figure")
    drawn = []
    for name in ("a.svg", "b.svg"):
        page = figure.new_figure(4, 3)
        accuracy._panel(page.subplots(), {"ddim": {"4": (0.5, 1.0)}}, 0, "title", "RdYlGn", 1.0)
        figure.save(page, tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1]


def test_accuracies_are_of_registered_schedulers(reference: Any) -> None:
    accuracy = reference("accuracy")
    numbers = json.loads((IMAGES / "accuracy.json").read_text(encoding="utf-8"))
    assert {row.split(",")[0] for row in numbers} <= set(names()) - set(accuracy.APART)
    assert set(accuracy.APART) <= set(names())
    for found in numbers.values():
        assert all(0 < int(nfe) <= max(accuracy.BUDGETS) for nfe in found)
        assert all(0 <= right <= 1 and spread >= 0 for right, spread in found.values())
    assert numbers["dpm_multistep"]["16"][0] >= 0.95


def test_the_deterministic_schedulers_converge(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference("convergence"), "BUDGETS", (16, 32, 64))
    curves = reference("convergence").curves()
    assert any(label.startswith("ddim = euler") for label in curves)
    for label, curve in curves.items():
        nfe, error = np.array([*curve]), np.array([*curve.values()])
        slope = np.polyfit(np.log(nfe), np.log(error), 1)[0]
        order = create(label.split()[0], 16).order
        assert slope < -0.8 * min(order, 2), label


def test_grids_are_grouped_by_what_they_are(reference: Any) -> None:
    grids = reference("grids").default_grids()
    members = [name for label in grids for name in label.split(", ")]
    assert len(members) == len(set(members))
    assert any({"ddim", "ddpm"} <= set(label.split(", ")) for label in grids)
    assert "exponential, lu" in reference("grids").layouts()
