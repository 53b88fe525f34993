"""Layouts on the command line: export, plan, run and verify."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samplegraph.export.cli import main
from samplegraph.runtime import read_manifest

DIT = ("--model", "cli_models:tinydit")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def samplegraph(*arguments: str) -> int:
    return main(arguments, program="samplegraph")


def drawn(file: str, *more: str) -> np.ndarray:
    assert samplegraph("run", f"build/{file}", "--seed", "0,1", "--set", "class_labels=1,2", "-o", "x.npy", *more) == 0
    found: np.ndarray = np.load("x.npy")
    return found


def test_one_step_graph_runs_any_number_of_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", "--scheduler", "heun", "--steps", "4,6", "--layout", "step", *DIT) == 0
    file = "tinydit-heun-4-step.onnx"
    assert [p.name for p in Path("build").glob("*.onnx")] == [file]
    assert samplegraph("plan", f"build/{file}", "--steps", "3,9") == 0
    assert samplegraph("plan", f"build/{file}", "--steps", "5") == 0
    assert "now runs 3, 4, 5, 6, 9 steps" in capsys.readouterr().out
    for steps in (4, 5, 6, 9):
        assert samplegraph("export", "--scheduler", "heun", "--steps", str(steps), *DIT, "--no-verify") == 0
        expected = drawn(f"tinydit-heun-{steps}.onnx")
        assert np.abs(drawn(file, "--steps", str(steps)) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert samplegraph("verify", f"build/{file}", *DIT) == 0
    assert samplegraph("inspect", f"build/{file}") == 0
    assert "tables for 4, 6 steps" in capsys.readouterr().out


def test_one_repeated_graph_runs_the_numbers_of_steps_that_it_was_made_for(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--scheduler", "heun", "--steps", "4,6", *DIT)
    assert samplegraph("export", *asked, "--layout", "repeated:2") == 0
    assert samplegraph("export", *asked, "--no-verify") == 0
    file = "tinydit-heun-4-repeated2.onnx"
    for steps in (4, 6):
        expected = drawn(f"tinydit-heun-{steps}.onnx")
        assert np.abs(drawn(file, "--steps", str(steps)) - expected).max() <= 1e-5 * np.abs(expected).max()
    assert samplegraph("verify", f"build/{file}", *DIT) == 0
    assert samplegraph("inspect", f"build/{file}") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "2 evaluations a call over 2 registers; tables for 4, 6 steps; 16 constants each in constants-" in text
    assert samplegraph("plan", f"build/{file}", "--steps", "5") == 2
    assert "whose constants only the network can make; export it with --steps 4,6,5" in capsys.readouterr().err


def test_layouts_share_one_weights_file() -> None:
    for layout in ("unrolled", "chunked:2", "repeated:2", "step", "loop"):
        more = (*DIT, "--weights", "external", "--layout", layout, "--no-verify")
        assert samplegraph("export", "--scheduler", "euler", "--steps", "3", *more) == 0
    (weights,) = Path("build").glob("weights-*.bin")
    files = sorted(Path("build").glob("*.onnx"))
    assert len(files) == 6
    assert {read_manifest(file).weights.file for file in files} == {weights.name}
    expected = drawn("tinydit-euler-3.onnx")
    for layout in ("chunked2.chunk-00", "repeated2", "step", "loop"):
        file = f"tinydit-euler-3-{layout}.onnx"
        assert np.abs(drawn(file) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_previews_are_pictures_of_every_stop() -> None:
    assert samplegraph("export", "--scheduler", "euler", "--steps", "3", "--layout", "chunked:2", *DIT) == 0
    drawn("tinydit-euler-3-chunked2.chunk-01.onnx", "--previews", "seen")
    assert sorted(p.name for p in Path("seen").iterdir()) == ["step-001.png", "step-002.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--layout", "chunked:4"), "layout='chunked:4' does not fit steps=3; give chunks of 1 to 3 steps"),
        (("--layout", "woven"), "layout='woven' is not known; choose one of unrolled, chunked:K, repeated:K, step,"),
        (("--layout", "repeated:4"), "layout='repeated:4' does not fit the 3 evaluations of 3 steps; give 1 to 3"),
        (("--layout", "repeated:2", "--set", "thresholding=true"), "layout='repeated:2' needs an affine scheduler, "),
        (("--layout", "step", "--inpaint"), "layout='step' cannot put the known part back after a step"),
        (("--layout", "loop", "--set", "thresholding=true"), "layout='loop' needs an affine scheduler, and ddim with"),
        (("--layout", "loop", "--guidance-interval", "steps:0,0.5"), "layout='loop' has one guidance scale for all"),
        (("--layout", "step", "--optimize-for", "cpu"), "optimize_for='cpu' is for layout 'unrolled', not 'step'"),
    ],
)
def test_what_does_not_fit_is_refused(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert samplegraph("export", "--scheduler", "ddim", "--steps", "3", *DIT, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(Path().glob("build/*"))


def test_plans_for_another_sampler_and_damaged_ones(capsys: pytest.CaptureFixture[str]) -> None:
    for scheduler in ("ddim", "euler"):
        assert samplegraph("export", "--scheduler", scheduler, "--steps", "3", "--layout", "step", *DIT) == 0
    assert samplegraph("plan", "build/tinydit-ddim-3-step.onnx", "--steps", "5") == 0
    plan = Path("build/tinydit-ddim-3-step.onnx.plan.json")
    other = Path("build/tinydit-euler-3-step.onnx.plan.json")
    run = ("run", f"build/{other.name.removesuffix('.plan.json')}", "--set", "class_labels=1", "--steps", "5")
    for text, words in ((plan.read_text(), "it is for another sampler"), (plan.read_text()[:-90], "cannot be used")):
        other.write_text(text)
        capsys.readouterr()
        assert samplegraph(*run) == 2
        error = capsys.readouterr().err
        assert words in error
        assert "make it again with `samplegraph plan`" in error
        assert error.count("\n") == 1
    assert samplegraph("plan", "build/tinydit-ddim-3-step.onnx", "--steps", "0") == 2
    assert samplegraph("plan", "build/tinydit-ddim-3-step.onnx", "--steps", "x") == 2
