"""``samplegraph run`` given what it cannot use: one line, exit code 2, no file, the old one intact."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from samplegraph.export.cli import main
from samplegraph.runtime import Engine
from samplegraph.runtime.manifest import Tensor

Toy = Callable[..., Path]


def run(*arguments: object) -> int:
    return main(["run", *map(str, arguments)], program="samplegraph")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


BAD: list[tuple[list[str], list[str]]] = [
    ([], ["class_labels is missing", "0..10"]),
    (["--set", "class_labels=42"], ["class_labels=42 is out of range", "0..10"]),
    (["--set", "class_label=4"], ["'class_label'", "did you mean 'class_labels'"]),
    (["--set", "class_labels=1.5"], ["class_labels=1.5 is float64"]),
    (["--set", "class_labels=cat"], ["class_labels='cat' is text"]),
    (["--set", "class_labels=[[1,2]]"], ["class_labels has shape (1, 2)"]),
    (["--set", "class_labels"], ["--set 'class_labels' is not name=value"]),
    (["--set", "class_labels=1", "--set", "class_labels=2"], ["class_labels is given twice"]),
    (["--set", "class_labels=@no.npy"], ["class_labels=@no.npy", "No such file"]),
    (["--set", "class_labels=@junk.npy"], ["class_labels=@junk.npy", "numpy.save"]),
    (["--set", "class_labels=@pickled.npy"], ["class_labels=@pickled.npy"]),
    (["--set", "class_labels=1", "--seed", "x"], ["seed=x", "whole number"]),
    (["--set", "class_labels=1", "--seed", "1.5"], ["seed=1.5"]),
    (["--set", "class_labels=1", "--seed", "-1"], ["seed=-1"]),
    (["--set", "class_labels=1,2", "--seed", "1,2,3"], ["class_labels has 2 rows", "seed has 3 rows"]),
    (["--set", "class_labels=1", "--set", "seed=3"], ["--set seed is not an input", "--seed"]),
    (["--set", "class_labels=1", "--set", "noise=@noise.npy", "--seed", "0"], ["seed=0 and noise"]),
    (["--set", "class_labels=1", "--set", "noise=@noise.npy"], ["noise has shape (2, 2)"]),
    (["--set", "class_labels=1", "--guidance-scale", "nan"], ["guidance_scale=nan is not finite"]),
    (["--set", "class_labels=1", "--guidance-scale", "1", "--set", "guidance_scale=2"], ["both given"]),
    (["--set", "class_labels=1", "--samples", "0"], ["samples=0"]),
    (["--set", "class_labels=1", "--rng", "numpy"], ["rng='numpy'"]),
    (["--set", "class_labels=1", "--providers", "cuda"], ["'cuda' is not available"]),
    (["--set", "class_labels=1", "--threads", "0"], ["threads=0"]),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[" ".join(o) or "nothing" for o, _ in BAD])
def test_bad_input_is_one_line_and_leaves_the_old_file(
    toy: Toy, options: list[str], words: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = toy()
    Path("junk.npy").write_bytes(b"junk")
    np.save("pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save("noise.npy", np.zeros((2, 2)))
    Path("old.png").write_bytes(b"old")
    before = sorted(p.name for p in tmp_path.iterdir())
    assert run(path, *options, "--output", "old.png") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    assert Path("old.png").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("x.jpg", "ends in .jpg; give a name that ends in .png or .npy"),
        ("x", "ends in nothing"),
        ("folder.png", "is a folder"),
        ("file.txt/x.png", "file.txt is not a folder"),
        ("/proc/x.png", "/proc/x.png"),
    ],
)
def test_outputs_that_cannot_be_written(toy: Toy, output: str, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("folder.png").mkdir()
    Path("file.txt").write_text("text")
    assert run(toy(), "--set", "class_labels=1", "--output", output) == 2
    err = capfd.readouterr().err
    assert word in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("shape", [(8,), (2, 4, 4), (4, 4), (1, 2, 4, 4)])
def test_other_shapes_are_no_picture(
    toy: Toy, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And it is said before the work is done."""
    path = toy(shape=shape, conditions=())
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "__call__", None)
        assert run(path, "-o", "x.png") == 2
    assert "is no picture" in capfd.readouterr().err
    assert not Path("x.png").exists()
    assert run(path, "-o", "x.npy") == 0


def test_samples_that_are_not_finite_are_not_drawn(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    path = toy(conditions=(Tensor("w", "float32", ("B",), "condition"),))
    assert run(path, "--set", "w=3e38", "-o", "x.png") == 2
    assert "hold NaN or infinity" in capfd.readouterr().err
    assert not Path("x.png").exists()


@pytest.mark.parametrize("name", ["x.png", "x.npy"])
def test_a_full_disk_leaves_the_old_file(
    toy: Toy, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full(file: object, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = toy()
    Path(name).write_bytes(b"old")
    monkeypatch.setattr("numpy.save", full)
    monkeypatch.setattr("PIL.Image.Image.save", full)
    assert run(path, "--set", "class_labels=1", "-o", name) == 2
    assert "No space left on device" in capfd.readouterr().err
    assert Path(name).read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, path.name])


def test_truncated_and_foreign_graphs(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    whole = toy().read_bytes()
    for content in (whole[:-100], whole[: len(whole) // 2], b"text", b""):
        Path("bad.onnx").write_bytes(content)
        assert run("bad.onnx", "--set", "class_labels=1") == 2
        err = capfd.readouterr().err
        assert "bad.onnx: truncated or not an ONNX file" in err
        assert err.count("\n") == 1
    assert not Path("bad.png").exists()
