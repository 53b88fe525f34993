"""``samplegraph-run``: what it writes, and what it says about bad input."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import GRAPHS
from PIL import Image

from samplegraph.export.cli.main import main as python_cli
from samplegraph.runtime import Engine
from samplegraph.runtime.manifest import Tensor

Toy = Callable[..., Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
PROMPT = Tensor("prompt", "float32", ("B", 2, 3), "condition")


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["--set", "class_labels=3,1,4"], {"seed": 0, "class_labels": [3, 1, 4]}),
        (["--seed", "7", "--set=class_labels=2", "--samples", "3"], {"seed": 7, "class_labels": 2, "samples": 3}),
        (["--seed", "1,2", "--set", "class_labels=[5]"], {"seed": [1, 2], "class_labels": 5}),
        (
            ["--rng", "philox", "--set", "class_labels=1", "--guidance-scale", "7"],
            {"seed": 0, "rng": "philox", "class_labels": 1, "guidance_scale": 7},
        ),
        (["--seed", "18446744073709551615", "--set", "class_labels=0,"], {"seed": 2**64 - 1, "class_labels": [0]}),
    ],
)
def test_npy_is_what_numpy_would_save(
    toy: Toy, run_cli: Run, tmp_path: Path, arguments: list[str], call: dict[str, Any]
) -> None:
    path, out = toy(batch=2, slices=1), tmp_path / "new" / "out.npy"
    done = run_cli(path, *arguments, "--output", out)
    assert done.returncode == 0, done.stderr
    expected = Engine(path)(**call)
    np.save(tmp_path / "expected.npy", expected)
    assert out.read_bytes() == (tmp_path / "expected.npy").read_bytes()
    count = f"{len(expected)} sample{'s' if len(expected) > 1 else ''}"
    assert re.fullmatch(
        rf"{re.escape(str(out))}  {count} of 1x4x4, loaded in [\d.]+ s, sampled in [\d.]+ s by cpu\n", done.stdout
    )
    assert [each.name for each in out.parent.iterdir()] == ["out.npy"]


@pytest.mark.parametrize("count", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_pixel_for_pixel_those_of_python(
    toy: Toy, run_cli: Run, tmp_path: Path, count: int, channels: int
) -> None:
    path = toy(batch="batch", shape=(channels, 5, 4), conditions=())
    arguments = [str(path), "--seed", "3", "--samples", str(count), "--output"]
    done = run_cli(*arguments, tmp_path / "cpp.png")
    assert done.returncode == 0, done.stderr
    assert python_cli(["run", *arguments, str(tmp_path / "python.png")], "samplegraph") == 0
    ours, theirs = (Image.open(tmp_path / name) for name in ("cpp.png", "python.png"))
    assert ours.mode == theirs.mode
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2", "<i8", "<u2", "|i1"])
def test_arrays_from_files(toy: Toy, run_cli: Run, tmp_path: Path, dtype: str, order: Any) -> None:
    path = toy(conditions=(PROMPT,))
    prompt = np.arange(12).reshape(2, 2, 3).astype(dtype, order=order)
    np.save(tmp_path / "prompt.npy", prompt)
    done = run_cli(path, "--set", f"prompt=@{tmp_path / 'prompt.npy'}", "-o", tmp_path / "out.npy")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "out.npy"), Engine(path)(seed=0, prompt=prompt))


def test_own_noise_from_a_file(toy: Toy, run_cli: Run, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 1, 4, 4))
    np.save(tmp_path / "noise.npy", noise)
    done = run_cli(
        toy(), "--set", f"noise=@{tmp_path / 'noise.npy'}", "--set", "class_labels=3", "-o", tmp_path / "out.npy"
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "out.npy"), Engine(toy())(noise=noise, class_labels=3))


def test_the_default_output(toy: Toy, run_cli: Run, tmp_path: Path) -> None:
    assert run_cli(toy(), "--set", "class_labels=1", cwd=tmp_path).returncode == 0
    assert (tmp_path / "toy-ddim-3.png").is_file()
    assert run_cli(toy(shape=(4,), conditions=()), cwd=tmp_path).returncode == 0
    assert (tmp_path / "toy-ddim-3.npy").is_file()


def test_describe_needs_no_engine(toy: Toy, run_cli: Run) -> None:
    path = toy(batch="batch", slices=2)
    done = run_cli(path, "--describe", SAMPLEGRAPH_ONNXRUNTIME="/nowhere")
    assert done.returncode == 0, done.stderr
    for words in ("toy-ddim-3", "ddim, 3 steps", "int64 (batch,), 0..10", "float32 (2, batch, 1, 4, 4)", "default 2"):
        assert words in done.stdout
    as_json = run_cli(path, "--describe", "--json", SAMPLEGRAPH_ONNXRUNTIME="/nowhere")
    assert as_json.stdout == Engine(path).manifest.to_json()


def test_bench(toy: Toy, run_cli: Run, tmp_path: Path) -> None:
    done = run_cli(toy(), "--set", "class_labels=1", "--bench", "30", cwd=tmp_path)
    assert re.fullmatch(r"30 calls, ms: mean .*, p50 .*, p99 .*, max .*\n", done.stdout)
    assert not list(tmp_path.glob("*.png"))
    figures = json.loads(run_cli(toy(), "--set", "class_labels=1", "--bench", "30", "--json").stdout)
    assert figures["min"] <= figures["p50"] <= figures["p90"] <= figures["p99"] <= figures["max"]


BAD: list[tuple[list[str], list[str]]] = [
    ([], ["class_labels is missing; give int64 values in 0..10, (M,)"]),
    (["--set", "class_labels=three"], ["class_labels='three' is text; allowed is int64; give whole numbers"]),
    (["--set", "class_labels=1,a"], ["class_labels=[1, 'a'] is text"]),
    (["--set", "class_labels=[[1],[2,3]]"], ["class_labels is not an array", "int64"]),
    (["--set", 'class_labels={"a": 1}'], ["class_labels", "is object; allowed is int64"]),
    (["--set", "class_labels=1180591620717411303424"], ["class_labels=1180591620717411303424 is object"]),
    (["--set", "class_labels=1.5"], ["class_labels=1.5 is float64"]),
    (["--set", "class_labels=42"], ["class_labels=42 is out of range; allowed 0..10"]),
    (["--set", "class_labels=[]"], ["class_labels", "is empty"]),
    (["--set", "class_labels"], ["--set 'class_labels' is not name=value"]),
    (["--set", "class_labels="], ["class_labels= has no value"]),
    (["--set", "class_labels=@no.npy"], ["class_labels=@no.npy: cannot be read (No such file or directory)"]),
    (["--set", "class_labels=@/dev/null"], ["not a usable .npy file"]),
    (["--set", "class_label=1"], ["did you mean 'class_labels'?"]),
    (["--set", "class_labels=1", "--set", "class_labels=2"], ["--set class_labels is given twice"]),
    (["--set", "seed=1"], ["give --seed instead"]),
    (["--seed", "-1"], ["seed=-1: allowed is an int from 0 to 2**64 - 1"]),
    (["--seed", "1.5"], ["seed=1.5 is not allowed"]),
    (["--seed", "a"], ["seed=a is not allowed"]),
    (["--samples", "0"], ["samples=0 is not allowed"]),
    (["--set", "class_labels=1,2", "--samples", "3"], ["class_labels has 2 rows, samples=3"]),
    (["--set", "class_labels=1", "--samples", "100000000000000000"], ["samples=100000000000000000 cannot be drawn"]),
    (["--guidance-scale", "nan", "--set", "class_labels=1"], ["guidance_scale=nan is not finite"]),
    (["--guidance-scale", "1", "--set", "guidance_scale=1"], ["--guidance-scale and --set guidance_scale"]),
    (["--rng", "numpy"], ["rng='numpy': allowed is 'torch' or 'philox'"]),
    (["--threads", "0"], ["threads=0 is not allowed; give a whole number of at least 1"]),
    (["--providers", "cudo"], ["providers='cudo' is not available"]),
    (["--output", "x.jpg"], ["output=x.jpg ends in .jpg; give a name that ends in .png or .npy"]),
    (["--output", "/"], ["output=/ ends in nothing"]),
    (["--output", "/dev/null/x.png"], ["/dev/null is not a folder"]),
    (["--bench", "0"], ["bench=0 is not allowed"]),
    (["--foo"], ["no such option: --foo"]),
    (["--seed"], ["option --seed needs a value"]),
    (["another.onnx"], ["'another.onnx' is one file too many"]),
    (["--onnxruntime", "/no/lib.so"], ["/no/lib.so", "set --onnxruntime or SAMPLEGRAPH_ONNXRUNTIME"]),
    (["--onnxruntime", "/"], ["/: no libonnxruntime in this folder"]),
    (["--onnxruntime", "/dev/null"], ["/dev/null: not a shared library"]),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_input(toy: Toy, run_cli: Run, tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    path = toy()
    before = sorted(tmp_path.iterdir())
    done = run_cli(path, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_bad_files(toy: Toy, run_cli: Run, tmp_path: Path) -> None:
    good = toy()
    cases = {"no.onnx": None, "empty.onnx": b"", "text.onnx": b"hello, world", "cut.onnx": good.read_bytes()[:-9]}
    for name, data in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        done = run_cli(tmp_path / name)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {tmp_path / name}: ")
        assert done.stderr.count("\n") == 1
    (tmp_path / "moved.onnx.json").write_text(good.read_text(errors="ignore")[:10])
    assert run_cli(tmp_path / "moved.onnx.json").returncode == 2
    assert run_cli().stderr == "error: FILE is missing; give the .onnx file that `samplegraph export` wrote\n"


def test_a_picture_of_what_is_none(toy: Toy, run_cli: Run, tmp_path: Path) -> None:
    done = run_cli(toy(shape=(2, 4, 4), conditions=()), "-o", tmp_path / "x.png")
    assert "a sample of shape (2, 4, 4) is no picture" in done.stderr
    assert not (tmp_path / "x.png").exists()


def test_no_library_at_all(toy: Toy, run_cli: Run) -> None:
    done = run_cli(toy(), "--set", "class_labels=1", SAMPLEGRAPH_ONNXRUNTIME="", LD_LIBRARY_PATH="")
    if done.returncode == 0:
        pytest.skip("this machine has ONNX Runtime on the loader's path")
    assert "the loader's path" in done.stderr
    assert "libonnxruntime.so" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("batch", "samples", "limit"),
    [("batch", 20_000_000, 2_000_000_000), (1, 20_000_000, 2_000_000_000), ("batch", 4_000_000, 1_000_000_000)],
    ids=["the samples", "the noise", "the engine's buffers"],
)
def test_out_of_memory(
    toy: Toy, built: Path, onnxruntime: Path, tmp_path: Path, batch: int | str, samples: int, limit: int
) -> None:
    command: list[str | Path] = [built / "cli" / "samplegraph-run", toy(batch=batch), "--set", "class_labels=1"]
    command += ["--threads", "1"]
    command += ["--samples", str(samples), "--output", tmp_path / "x.npy", "--onnxruntime", onnxruntime]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 2
    assert "memory" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.npy").exists()


def test_ctrl_c(built: Path, onnxruntime: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.onnx").write_bytes(GRAPHS["slow"]().SerializeToString())
    command: list[str | Path] = [built / "cli" / "samplegraph-run", "slow.onnx", "--bench", "10000"]
    command += ["--onnxruntime", onnxruntime]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, error) == ("", "error: interrupted\n")
