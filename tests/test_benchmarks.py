"""The benchmarks run, give valid records and tables; nothing here asserts a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ROUTES = ("ours", "traced", "traced-optimised")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m benchmarks``, or one of its modules where the first argument is a name with a dot in front."""
    module = arguments[0] if arguments[0].startswith(".") else ""
    command = [sys.executable, "-m", f"benchmarks{module}", "--threads", "1", *arguments[bool(module) :]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=570)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that renders, without torch."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import table

    return table


def test_bars_of_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 25 steps alone, and only where a build was not given up."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.engine_bars import bars

    def record(model: str, layout: str, steps: int, bytes: int, cpu: float) -> dict[str, Any]:
        head = {"model": model, "layout": layout, "steps": steps, "engines": 1, "weight_bytes": 5_000_000}
        return {**head, "bytes": bytes, "cpu_seconds": cpu}

    found = bars(
        [
            record("dit", "unrolled", 10, 900_000_000, 1.0),
            record("dit", "unrolled", 25, 50_000_000, 81.0),
            record("dit", "repeated:5", 25, 9_000_000, 10.0),
            {"model": "unet", "layout": "unrolled", "steps": 25, "limit": 60.0},
        ]
    )
    assert [(bar.value, bar.limit, bar.met) for bar in found] == [(1.8, 1.8, True), (8.1, 8.0, True)]
    assert str(bars([record("unet", "unrolled", 25, 105_000_000, 1.0)])[0]).endswith("4.00 (at most 3.5, missed)")
    slow = [record("dit", "unrolled", 25, 6_000_000, 79.0), record("dit", "repeated:5", 25, 6_000_000, 10.0)]
    assert [bar.met for bar in bars(slow)] == [True, False]


@pytest.mark.slow
def test_quick_run_measures_everything(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_bytes()
    done = bench("--quick", "--output", str(tmp_path / "bench.json"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (ROOT / "README.md").read_bytes() == readme
    data = json.loads((tmp_path / "bench.json").read_text())
    records = {(r["part"], r.get("route")): r for r in data["records"]}
    graphs = {(part, route) for part in ("compile", "load") for route in ROUTES}
    assert set(records) == graphs | {("run", None), ("guidance", None)}
    for route in ROUTES:
        made = records["compile", route]
        assert made["steps"] == 2
        assert min(made[key] for key in ("seconds", "peak_mb", "nodes", "bytes", "weight_bytes")) > 0
        assert records["load", route]["seconds"] > 0
    run = records["run", None]
    assert run["error"] < 1e-5
    assert run["turns"] >= 5
    assert min(run["ratio"], run["ratio_captured"]) > 0
    part = records["guidance", None]
    assert (part["full_guided"], part["interval_guided"]) == (2, 1)
    assert min(part["speedup"], part["interval_compile_seconds"]) > 0
    assert {"processor", "cores", "threads", "versions", "load_before", "load_after"} <= set(data["machine"])
    assert "| tiny DiT, 2 steps: compile + save |" in done.stdout


@pytest.mark.slow
def test_offline_optimised_graphs_are_measured(tmp_path: Path) -> None:
    done = bench(".offline", "--models", "tiny", "--loads", "1", "--seconds", "0")
    assert done.returncode == 0, done.stderr
    records = {(r["part"], r.get("route")): r for r in json.loads(done.stdout)["records"]}
    assert set(records) == {("optimise", None), ("load", None), ("run", "plain"), ("run", "plain-cpu")}
    assert records["load", None]["ratio"]["network"] == 1
    assert min(records["load", None]["memory_ratio"].values()) > 0
    assert records["run", "plain-cpu"]["error"] < 1e-5


@pytest.mark.parametrize("option", [("--models", "gan"), ("--steps", "0"), ("--parts", "compile,fly")])
def test_bad_selections_are_refused_in_one_line(option: tuple[str, str]) -> None:
    done = bench(*option)
    assert done.returncode == 2
    assert option[1].split(",")[-1] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_without_records_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    done = bench("--quick", "--with", str(tmp_path / "x.json"))
    assert done.returncode == 2
    assert "x.json: holds no records" in done.stderr
    assert done.stderr.count("\n") == 1


def records(model: str, steps: int) -> list[dict[str, Any]]:
    """Made-up figures of one model: the traced routes are 2 and 10 times slower."""
    made: list[dict[str, Any]] = []
    for route, factor in zip(ROUTES, (1, 2, 10), strict=True):
        head = {"model": model, "steps": steps, "route": route}
        sizes = {"nodes": 1000, "bytes": 6e6, "weight_bytes": 4e6, "peak_mb": 500}
        made.append({**head, "part": "compile", "seconds": 3.0 * factor, **sizes})
        made.append({**head, "part": "load", "seconds": 0.5 * factor})
    run = {"whole_ms": 90, "host_ms": 100, "ratio": 0.9, "host_captured_ms": 95, "ratio_captured": 0.947}
    guidance = {"full_ms": 90, "interval_ms": 68, "speedup": 1.324}
    head = {"model": model, "steps": steps}
    return [*made, {"part": "run", **head, **run}, {"part": "guidance", **head, **guidance}]


MACHINE = {
    "processor": "p",
    "cores": 2,
    "threads": 2,
    "system": "s",
    "versions": {"torch": "1", "onnxruntime": "2"},
    "load_before": 0.1,
    "load_after": 1.0,
}


def test_table_puts_ratios_side_by_side(table: Any) -> None:
    text = table.render([*records("unet", 5), *records("unet", 25), *records("dit", 25)], MACHINE)
    assert "| conditional UNet, 25 steps: compile + save | 3.00 s | 6.00 s (2.0x) | 30.0 s (10.0x) |" in text
    assert "| adaLN DiT, 25 steps | 0.90x (90.0 against 100 ms) | 0.95x (90.0 against 95.0 ms) |" in text
    assert "| adaLN DiT, 25 steps | 1.32x faster (68.0 against 90.0 ms) |" in text
    assert "| conditional UNet, by steps | 5 | 25 |" in text
    for block in text.strip().split("\n\n")[:-1]:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_table_says_what_was_given_up(table: Any) -> None:
    made = [r for r in records("unet", 25) if r.get("route") != "traced-optimised"]
    given_up = {"part": "compile", "model": "unet", "steps": 25, "route": "traced-optimised", "limit": 1200.0}
    assert "over 1,200 s |" in table.render([*made, given_up], MACHINE)


def test_table_replaces_what_is_between_the_markers(table: Any, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nb\n")
    table.write(readme, "new\n")
    assert readme.read_text() == "a\n<!-- benchmark -->\nnew\n<!-- /benchmark -->\nb\n"
    readme.write_text("no markers\n")
    with pytest.raises(ValueError, match="lacks the markers"):
        table.write(readme, "new\n")
