"""``samplegraph inspect`` and ``samplegraph list``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from samplegraph.export.cli import main
from samplegraph.runtime import read_manifest
from samplegraph.runtime.manifest import Evaluation, GuidancePlan, Manifest

Toy = Callable[..., Path]


def inspect(*arguments: object) -> int:
    return main(["inspect", *map(str, arguments)], program="samplegraph")


def cells(out: str) -> list[list[str]]:
    """The tables' rows."""
    return [[c.strip() for c in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]


def test_it_shows_the_manifest_and_a_row_per_step(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    path = toy(slices=2)
    assert inspect(path) == 0
    out = capsys.readouterr().out
    assert "ddim, 3 steps, NFE 3, order 1" in out
    assert "scale is an input, default 2; guides class_labels" in out
    assert f"{path.stat().st_size / 1000:.1f} kB" in out
    assert "(2, 1, 1, 4, 4)" in out
    assert cells(out)[-4:] == [
        ["0", "900", "0.43589", "0.9", "1", "1", "input", "-"],
        ["1", "600", "0.8", "0.6", "1", "1", "input", "-"],
        ["2", "300", "0.953939", "0.3", "1", "0", "input", "-"],
        ["end", "", "1", "0", "", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("plan", "shown", "by_step"),
    [
        (
            GuidancePlan("input", 2.0, ("c",), (1.0, None, None), "steps:0.3,1.0"),
            "scale is an input, default 2; guides c; interval steps:0.3,1.0 (conditional alone in 1 of 3 evaluations)",
            ["1", "input", "input"],
        ),
        (
            GuidancePlan("per_step", None, ("c",), (1.0, 7.5, 3.0), None, 0.7),
            "a scale per step, baked in; guides c; rescale 0.7",
            ["1", "7.5", "3"],
        ),
        (GuidancePlan("baked", 3.0, ("c",)), "scale 3, baked in; guides c", ["3", "3", "3"]),
        (GuidancePlan("none"), "none", ["-", "-", "-"]),
    ],
)
def test_it_shows_the_guidance_plan(
    plan: GuidancePlan, shown: str, by_step: list[str], toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(toy(guidance=plan)) == 0
    out = capsys.readouterr().out
    assert shown in " ".join(out.split())
    assert [row[6] for row in cells(out)[-4:-1]] == by_step


def test_steps_with_two_evaluations_and_with_none(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = read_manifest(toy())
    one = Evaluation(0, 900.0, 0.5, 0.8, 1.0)
    tables = replace(manifest.tables, evaluations=(one, replace(one, timestep=600.0), replace(one, step=2)))
    sidecar = tmp_path / "x.json"
    sidecar.write_text(replace(manifest, tables=tables).to_json())
    assert inspect(sidecar) == 0
    rows = cells(capsys.readouterr().out)[-4:]
    assert [row[4] for row in rows] == ["2", "0", "1", ""]
    assert rows[1][1:4] == ["-", "-", "-"]


def test_json_is_the_manifest_and_nothing_else(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    path = toy()
    assert inspect(path, "--json") == 0
    out = capsys.readouterr().out
    assert out == read_manifest(path).to_json()
    assert json.loads(out)["name"] == "toy-ddim-3"


def test_external_weights_are_shown_or_missed(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = read_manifest(toy())
    sidecar = tmp_path / "x.onnx.json"
    sidecar.write_text(replace(manifest, weights=replace(manifest.weights, file="w.bin")).to_json())
    assert inspect(sidecar) == 0
    assert "in w.bin (missing)" in capsys.readouterr().out
    (tmp_path / "w.bin").write_bytes(bytes(2_500_000))
    assert inspect(sidecar) == 0
    assert "in w.bin (2.5 MB)" in capsys.readouterr().out


def test_text_in_brackets_is_no_markup(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = read_manifest(toy())
    scheduler = replace(manifest.scheduler, config={"timesteps": [1, 2], "a": "[red]b[/red]", "c": "[/]"})
    sidecar = tmp_path / "x.json"
    sidecar.write_text(replace(manifest, scheduler=scheduler).to_json())
    assert inspect(sidecar) == 0
    assert "a=[red]b[/red], c=[/], timesteps=[1, 2]" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_plot(toy: Toy, tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    path = toy()
    for output in (first, second):
        assert inspect(path, "--plot", output) == 0
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 1000


def test_plot_of_wide_sigmas(toy: Toy, tmp_path: Path) -> None:
    def wide(manifest: Manifest) -> Manifest:
        return replace(manifest, tables=replace(manifest.tables, sigmas=(80.0, 2.0, 0.002, 0.0)))

    sidecar = tmp_path / "x.json"
    sidecar.write_text(wide(read_manifest(toy())).to_json())
    assert inspect(sidecar, "--plot", tmp_path / "x.svg") == 0


@pytest.mark.parametrize(("plot", "word"), [("x.jpg", ".svg or .png or .pdf"), ("no/such", "ends in nothing")])
def test_plots_that_cannot_be_written(
    toy: Toy, tmp_path: Path, plot: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect(toy(), "--plot", tmp_path / plot) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "not JSON"),
        ("{}", "not a samplegraph manifest"),
        ('{"format": "samplegraph", "format_version": 99}', "update samplegraph"),
        ('{"format": "samplegraph", "format_version": 1}', "damaged"),
    ],
)
def test_damaged_sidecars(tmp_path: Path, text: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    sidecar = tmp_path / "x.json"
    sidecar.write_text(text)
    assert inspect(sidecar) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err
    assert err.count("\n") == 1
