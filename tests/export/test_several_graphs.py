"""``--scheduler a,b --steps 2,3``: several graphs in one command, the network captured and written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplegraph.export.cli import main
from samplegraph.export.cli.jobs import Job, jobs
from samplegraph.export.denoiser import capture
from samplegraph.runtime import Engine, InputError, read_manifest

DIT = ("--model", "cli_models:tinydit", "--weights", "external")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def samplegraph(*arguments: str) -> int:
    return main(arguments, program="samplegraph")


def test_all_combinations(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    captured = []

    def once(*args: Any, original: Any = capture.capture_denoiser) -> Any:
        captured.append(args)
        return original(*args)

    monkeypatch.setattr(capture, "capture_denoiser", once)
    assert samplegraph("export", "--scheduler", "ddim,deis", "--steps", "3, 5", *DIT, "--no-verify") == 0
    assert len(captured) == 1
    stems = [f"tinydit-{scheduler}-{steps}" for scheduler in ("ddim", "deis") for steps in (3, 5)]
    assert sorted(p.stem for p in Path("build").glob("*.onnx")) == sorted(stems)
    assert len(list(Path("build").glob("weights-*.bin"))) == 1
    out = capsys.readouterr().out
    for stem in stems:
        assert f"{stem}.onnx" in out
        assert read_manifest(f"build/{stem}.onnx").weights.files == tuple(p.name for p in Path("build").glob("*.bin"))
    assert samplegraph("verify", "build/tinydit-deis-5.onnx", "--model", "cli_models:tinydit") == 0


def test_several_steps_of_a_config() -> None:
    Path("c.json").write_text('{"_class_name": "DDIMScheduler", "clip_sample": false}')
    options = ("--model", "cli_models:tinydit", "--no-verify")
    assert samplegraph("export", "--scheduler-config", "c.json", "--steps", "2,3", *options) == 0
    assert sorted(p.name for p in Path("build").glob("*.onnx")) == ["tinydit-ddim-2.onnx", "tinydit-ddim-3.onnx"]


def test_together_as_alone() -> None:
    options = ("--scheduler", "ddim", *DIT, "--no-verify")
    assert samplegraph("export", *options, "--steps", "2,3", "--output", "together") == 0
    for steps in ("2", "3"):
        assert samplegraph("export", *options, "--steps", steps, "--output", "alone") == 0
    for file in Path("alone").iterdir():
        assert (Path("together") / file.name).read_bytes() == file.read_bytes()
    a, b = (Engine(f"{folder}/tinydit-ddim-3.onnx")(seed=0, class_labels=[1]) for folder in ("alone", "together"))
    assert np.array_equal(a, b)


def test_jobs() -> None:
    assert jobs("a,b", "1,2", None) == [Job("a", 1), Job("a", 2), Job("b", 1), Job("b", 2)]
    assert jobs(None, None, "x") == [Job(None, None)]


@pytest.mark.parametrize(
    ("scheduler", "steps", "name", "words"),
    [
        ("ddim,ddim", "2", None, "scheduler=ddim,ddim names ddim twice"),
        ("ddim", "2,2", None, "steps=2,2 names 2 twice"),
        ("ddim", "2,x", None, "steps=x is not allowed"),
        ("ddim", "2,", None, "steps= is not allowed"),
        ("ddim", "2,3", "mine", "name='mine' is for one graph, and 2 are asked for"),
    ],
)
def test_lists_that_are_refused(scheduler: str, steps: str, name: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        jobs(scheduler, steps, name)


def test_all_schedulers_are_looked_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", "--scheduler", "ddim,dimm", "--steps", "2", *DIT) == 2
    assert "dimm" in capsys.readouterr().err
    assert not Path("build").exists()
