"""Graphs that load slowly: a warning, and a refusal before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import TinyUNet, seeded

from samplegraph.export import Captures, ExportError, budget, compile
from samplegraph.export.budget import Budget, BudgetWarning, check, chunk
from samplegraph.export.cli import main
from samplegraph.export.denoiser import capture
from samplegraph.models import Sampler
from samplegraph.schedulers import create

#: Nodes of the benchmarks' unrolled UNet, and the seconds in which ONNX Runtime loads it.
MEASURED = {2943: 0.22, 5843: 0.56, 14543: 2.2, 29043: 6.6, 58043: 21.5}


@pytest.mark.parametrize(("nodes", "seconds"), MEASURED.items())
def test_the_estimate_is_what_was_measured(nodes: int, seconds: float) -> None:
    assert Budget(nodes, 0).seconds == pytest.approx(seconds, rel=0.25, abs=0.1)


@pytest.mark.parametrize("nodes", [10, 200, 580, 1300, 20_000])
def test_a_chunk_loads_quickly(nodes: int) -> None:
    count = chunk(nodes)
    assert count == 1 or Budget(nodes * count, 0).node_seconds <= budget.COMFORT
    assert Budget(nodes * (count + 1), 0).node_seconds > budget.COMFORT


def test_warned_refused_forced() -> None:
    told: list[str] = []
    check(500, 10, 0, recurrent=lambda: True, force=False, tell=told.append)
    assert told == []
    check(1320, 25, 3_300_000_000, recurrent=lambda: True, force=False, tell=told.append)
    assert len(told) == 1
    assert "about 33,000 nodes" in told[0]
    assert "layout='chunked:" in told[0]
    with pytest.raises(ExportError, match=r"about 1,320,000 nodes.*force=True"):
        check(1320, 1000, 0, recurrent=lambda: True, force=False, tell=told.append)
    assert len(told) == 1
    check(1320, 1000, 0, recurrent=lambda: True, force=True, tell=told.append)
    assert len(told) == 2


def test_only_possible_layouts_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholding is not linear in the sample, so that no table of coefficients drives it."""
    monkeypatch.setattr(budget, "WARN", 1e-9)
    monkeypatch.setattr(budget, "REFUSE", 1e-9)
    model = seeded(TinyUNet())
    affine, thresholding = create("ddim", 5), create("ddim", 5, thresholding=True)
    with pytest.raises(ExportError, match=r"layout='chunked:\d+', 'step' or 'loop', or force=True"):
        compile(Sampler(model, affine))
    with pytest.raises(ExportError, match=r"layout='chunked:\d+', or force=True"):
        compile(Sampler(model, thresholding))


def test_compiling(monkeypatch: pytest.MonkeyPatch, captures: Captures) -> None:
    """The limits are lowered; what weights alone tell is known before the network is captured."""
    sampler = Sampler(seeded(TinyUNet()), create("ddim", 5))
    monkeypatch.setattr(budget, "WARN", 1e-9)
    with pytest.warns(BudgetWarning, match="5 evaluations make about"):
        compile(sampler, captures=captures)
    monkeypatch.setattr(budget, "REFUSE", 1e-8)
    captured: list[object] = []
    monkeypatch.setattr(capture, "capture_denoiser", captured.append)
    with pytest.raises(ExportError, match="--force"):
        compile(sampler)
    assert captured == []


def test_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(budget, "WARN", 1e-9)
    monkeypatch.setattr(budget, "REFUSE", 1e-8)
    options = ["export", "--scheduler", "ddim", "--steps", "3", "--model", "cli_models:tiny", "--no-verify"]
    assert main(options, program="samplegraph") == 2
    assert capsys.readouterr().err.startswith("error: 3 evaluations make about")
    assert not Path("build").exists()
    assert main([*options, "--force"], program="samplegraph") == 0
    assert capsys.readouterr().err.startswith("warning: 3 evaluations make about")
