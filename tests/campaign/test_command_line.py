"""Random command lines: success, or one line and exit code 2 (1 where a verification fails)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from campaign.zygote import Zygote
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samplegraph.schedulers import names, option_defaults

OPTIONS = sorted({option for name in names() for option in option_defaults(name)})
NUMBERS = st.sampled_from(
    ["0", "1", "2", "3", "-1", "0.5", "1e9", "nan", "inf", "-inf", "1e-320", "999", "1000", "1001"]
)
WORDS = st.sampled_from(
    'true false null x karras beta linear trailing linspace sample v_prediction [] [1 {} " [[1,2],[3]] 0,1 1,0 '
    "900,500,100 @none.npy @/dev/null dpmsolver".split()
)
VALUES = st.one_of(NUMBERS, WORDS, st.sampled_from(["", "\x00"]), st.text(max_size=6))
SETTINGS = st.builds(lambda k, v: f"{k}={v}", st.one_of(st.sampled_from(OPTIONS), st.text(max_size=4)), VALUES)
SCHEDULERS = st.one_of(st.sampled_from(names()), st.sampled_from(["", "dimm", "Euler", "../ddim", "__init__", "base"]))
MODELS = st.sampled_from(["cli_models:tiny"] * 6 + ["cli_models:signal", "cli_models:raises", "tiny", ":", "os:getcwd"])
BATCHES = st.sampled_from(["1", "1", "1", "0", "-1", "x", "1.0", "\u0663"])
SCALES = st.sampled_from(["input", "none", "1", "0", "-3", "2.5", "nan", "x", "1e39"])
SHAPES = st.sampled_from(["2,8,8", "3,16", "", ",", "2", "2,8,8,8", "0,8,8", "1e3", "2;8;8"])
CONDITIONS = st.sampled_from(["class_labels=1", "class_labels=9", "class_labels=int64:", "x=1", "=", "class_labels={}"])
STEPS = st.sampled_from(["1", "2", "3", "3", "0", "-1", "x", "", "1e3", "10000000000"])
NAMES = st.one_of(st.sampled_from(["n", "..", "a/b", "-", "\x00", "n" * 260]), st.text(max_size=5))


@st.composite
def exports(draw: st.DrawFn) -> list[str]:
    """An ``export`` line that mostly makes sense, with some options that do not."""
    line = ["export", "--model", draw(MODELS), "--scheduler", draw(SCHEDULERS), "--steps", draw(STEPS)]
    for setting in draw(st.lists(SETTINGS, max_size=3)):
        line += ["--set", setting]
    rest = (("--guidance-scale", SCALES), ("--batch", BATCHES), ("--sample-shape", SHAPES), ("--name", NAMES))
    for option, values in (*rest, ("--condition", CONDITIONS), ("--weights", WORDS), ("--scheduler-config", WORDS)):
        if draw(st.integers(0, 7)) == 0:
            line += [option, draw(values)]
    if draw(st.booleans()):
        line.append("--no-verify")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        line.insert(draw(st.integers(0, len(line))), draw(st.one_of(VALUES, st.sampled_from(["--", "-", "--name"]))))
    return line


COMMANDS = ["run", "inspect", "verify", "plan", "list", "export", "--version", "--help", "-h", "nonsense"]
FRAGMENTS = (
    "--seed --set --output -o --samples --rng philox torch --threads --json --plot --bindings --providers cpu tensorrt "
    "tiny-ddim-3.onnx tiny-ddim-3.onnx.json . none.onnx x.svg x.npy x.png class_labels=1 guidance_scale=2 --debugg "
    "--model cli_models:tiny"
).split()
OTHERS = st.builds(
    lambda command, rest: [command, *rest],
    st.sampled_from(COMMANDS),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), VALUES), max_size=7),
)


def check(zygote: Zygote, line: list[str], folder: Path, good: Path) -> None:
    """The line ends well in a folder with good files, and these are as they were afterwards."""
    for name in ("tiny-ddim-3.onnx", "tiny-ddim-3.onnx.json"):
        (folder / name).write_bytes((good / name).read_bytes())
    before = set(folder.rglob("*"))
    outcome = zygote.run(line, folder)
    helped = outcome.code == 0 and {"--help", "-h"} & set(line)
    blemish = None if helped else outcome.blemish()
    left = set(folder.rglob("*")) - before
    if blemish is None and outcome.code and [p for p in left if p.is_file()]:
        blemish = f"left {left} behind"
    if blemish is None and [p for p in left if p.suffix == ".tmp"]:
        blemish = "left a temporary file behind"
    assert blemish is None, json.dumps(line)
    if line[0] != "export" and "-o" not in line and "--output" not in line:
        for name in ("tiny-ddim-3.onnx", "tiny-ddim-3.onnx.json"):
            assert (folder / name).read_bytes() == (good / name).read_bytes()


QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LONG = settings(QUICK, max_examples=300)


@given(line=exports())
@QUICK
def test_exports(line: list[str], zygote: Zygote, tmp_path_factory: pytest.TempPathFactory, good: Path) -> None:
    check(zygote, line, tmp_path_factory.mktemp("e"), good)


@given(line=OTHERS)
@QUICK
def test_other_commands(line: list[str], zygote: Zygote, tmp_path_factory: pytest.TempPathFactory, good: Path) -> None:
    check(zygote, line, tmp_path_factory.mktemp("o"), good)


@pytest.mark.slow
@given(line=exports())
@LONG
def test_more_exports(line: list[str], zygote: Zygote, tmp_path_factory: pytest.TempPathFactory, good: Path) -> None:
    check(zygote, line, tmp_path_factory.mktemp("e"), good)


@pytest.mark.slow
@given(line=OTHERS)
@LONG
def test_more_of_other_commands(
    line: list[str], zygote: Zygote, tmp_path_factory: pytest.TempPathFactory, good: Path
) -> None:
    check(zygote, line, tmp_path_factory.mktemp("o"), good)
