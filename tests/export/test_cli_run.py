"""``samplegraph run``: the right samples in the right file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samplegraph.export.cli import main
from samplegraph.runtime import Engine

Toy = Callable[..., Path]


def run(*arguments: object) -> int:
    return main(["run", *map(str, arguments)], program="samplegraph")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (["--set", "class_labels=3"], {"seed": 0, "class_labels": 3}),
        (["--seed", "7", "--set", "class_labels=0,1,2"], {"seed": 7, "class_labels": [0, 1, 2]}),
        (["--seed", "7,8", "--set", "class_labels=[0,1]"], {"seed": [7, 8], "class_labels": [0, 1]}),
        (["--set", "class_labels=3", "--samples", "4"], {"seed": 0, "class_labels": 3, "samples": 4}),
        (["--set", "class_labels=3", "--rng", "philox"], {"seed": 0, "class_labels": 3, "rng": "philox"}),
        (
            ["--set", "class_labels=3", "--guidance-scale", "5"],
            {"seed": 0, "class_labels": 3, "guidance_scale": 5.0},
        ),
        (
            ["--set", "class_labels=3", "--set", "guidance_scale=5"],
            {"seed": 0, "class_labels": 3, "guidance_scale": 5},
        ),
        (["--set", "class_labels=3", "--providers", "cpu", "--threads", "1"], {"seed": 0, "class_labels": 3}),
    ],
)
def test_the_file_holds_what_the_engine_gives(
    toy: Toy, options: list[str], arguments: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    path = toy(batch=2, slices=1)
    assert run(path, *options, "--output", "out/x.npy") == 0
    assert np.array_equal(np.load("out/x.npy"), Engine(path)(**arguments))  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert out.startswith("out/x.npy  ")
    assert out.count("\n") == 1
    assert err == ""
    assert [p.name for p in Path("out").iterdir()] == ["x.npy"]


def test_noise_and_conditions_from_files(toy: Toy) -> None:
    path = toy(slices=2)
    values = np.random.default_rng(0)
    given = {
        "noise": values.normal(size=(3, 1, 4, 4)),
        "step_noise": values.normal(size=(2, 3, 1, 4, 4)),
        "class_labels": np.array([1, 2, 3]),
    }
    for name, array in given.items():
        np.save(f"{name}.npy", array)
    sets = [word for name in given for word in ("--set", f"{name}=@{name}.npy")]
    assert run(path, *sets, "-o", "x.npy") == 0
    assert np.array_equal(np.load("x.npy"), Engine(path)(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "name", "mode"),
    [
        ((1, 4, 4), "toy.png", "L"),
        ((3, 4, 6), "toy.png", "RGB"),
        ((4, 4, 4), "toy.png", "RGBA"),
        ((8,), "toy.npy", ""),
    ],
)
def test_the_default_output_is_named_after_the_file(toy: Toy, shape: tuple[int, ...], name: str, mode: str) -> None:
    assert run(toy("toy.onnx", shape=shape, conditions=())) == 0
    assert Path(name).is_file()
    if mode:
        with Image.open(name) as image:
            assert image.mode == mode


def test_the_same_command_twice_gives_the_same_bytes(toy: Toy) -> None:
    path = toy()
    for name in ("a.png", "b.png"):
        assert run(path, "--set", "class_labels=0,1,2", "-o", name) == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_run_and_inspect_need_only_the_extras_cli_and_cpu(toy: Toy) -> None:
    """The quick form of test_cli_install: all else is hidden from the import system."""
    code = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        for each in ("torch", "onnx", "onnx_ir", "onnxscript", "scipy", "safetensors", "matplotlib"):
            if name == each or name.startswith(each + "."):
                raise ModuleNotFoundError(f"No module named {each!r}", name=each)

sys.meta_path.insert(0, Blocker())
from samplegraph.export.cli import main
path = sys.argv[1]
print(main(["run", path, "--set", "class_labels=0,1", "-o", "x.png"]), main(["inspect", path]),
      main(["inspect", path, "--plot", "x.svg"]),
      "samplegraph.schedulers" in sys.modules, "samplegraph.models" in sys.modules, main(["list"]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(toy())], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "0 0 2 False False 2", done.stderr
    assert Path("x.png").is_file()
    lines = done.stderr.splitlines()
    assert lines[0] == 'error: --plot needs matplotlib; pip install "samplegraph[export]"'
    assert lines[1].startswith("error: list needs ")
    assert lines[1].endswith('pip install "samplegraph[export]"')
    assert len(lines) == 2


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_auto_says_what_it_took_and_why_not_another(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    known = ["CUDAExecutionProvider", *onnxruntime.get_available_providers()]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: known)
    assert run(toy(), "--set", "class_labels=3", "--providers", "auto", "-o", "x.npy") == 0
    said = capsys.readouterr()
    assert said.out.rstrip().endswith(" s by cpu")
    assert said.err.startswith("note: not cuda: ")
    assert said.err.count("\n") == 1
