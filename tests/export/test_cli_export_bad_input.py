"""``samplegraph export`` given what it cannot use: one line, the exit code, no file left, the old one intact."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplegraph.export.cli import main
from samplegraph.export.edge.examples import TAKEN

TESTS = Path(__file__).parents[1]
OLD = b"what was there before"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


pytestmark = pytest.mark.usefixtures("quick_export")


def listing(folder: str = ".") -> list[str]:
    return sorted(str(p) for p in Path(folder).rglob("*"))


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line on stderr."""
    capfd.readouterr()
    before = listing()
    assert main(arguments, program="samplegraph") == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "run again with --debug" not in err
    assert listing() == before
    return err


BAD: list[tuple[str, list[str]]] = [
    ("--steps 3", ["scheduler is missing", "--scheduler ddim", "--scheduler-config"]),
    ("--scheduler dimm --steps 3", ["scheduler='dimm' is not known", "did you mean 'ddim'?"]),
    ("--scheduler ddim --steps 3 --output a/x.onnx", ["output=a/x.onnx looks like a file", "--output a --name x"]),
    ("--scheduler wxyz --steps 3", ["scheduler='wxyz' is not known", "choose one of ddim, ", "samplegraph list"]),
    ("--scheduler ddim", ["steps", "missing"]),
    ("--scheduler ddim --steps 0", ["steps=0", "at least 1"]),
    ("--scheduler ddim --steps -5", ["steps=-5", "at least 1"]),
    ("--scheduler ddim --steps 1001", ["steps=1001", "num_train_timesteps=1000", "at most 1000"]),
    ("--scheduler ddim --steps 99999999999999999999", ["steps=99999999999999999999", "1000"]),
    ("--scheduler ddim --steps many", ["steps=many", "whole number"]),
    ("--scheduler ddim --steps 2.5", ["steps=2.5", "whole number"]),
    ("--scheduler ddim --steps", ["--steps", "requires an argument"]),
    ("--scheduler ddim --stpes 3", ["No such option: --stpes", "--steps"]),
    ("--scheduler ddim --steps 3 extra", ["extra"]),
    ("--scheduler ddim --steps 3 --strength 0", ["strength=0.0", "above 0"]),
    ("--scheduler ddim --steps 3 --strength 1.5", ["strength=1.5", "from 0 to 1"]),
    ("--scheduler ddim --steps 3 --strength nan", ["strength=nan"]),
    ("--scheduler ddim --steps 3 --strength much", ["--strength", "a valid number"]),
    ("--scheduler ddim --steps 3 --strength 0.3", ["strength=0.3 leaves", "0 of 3 steps", "at least 0.33334"]),
    ("--scheduler ddim --steps 3 --begin 3", ["begin=3 of 3 steps leaves none", "0 to 2"]),
    ("--scheduler ddim --steps 3 --begin -1", ["begin=-1"]),
    ("--scheduler ddim --steps 3 --begin 1 --strength 0.5", ["strength=0.5 and begin=1 are both given"]),
    ("--scheduler ddim --steps 3 --set begin=1", ["'begin' is not an option of ddim"]),
    ("--scheduler ddim_inverse --steps 3 --strength 0.5", ["strength=0.5", "ddim_inverse: it runs from the image"]),
    ("--scheduler repaint --steps 3 --inpaint", ["inpaint=True", "repaint: it takes an image and a mask"]),
    ("--scheduler pndm --steps 8 --begin 5", ["begin=5 leaves 3 of 8 steps", "skip_prk_steps=True"]),
    ("--scheduler ddim --steps 3 --set etaa=1", ["'etaa' is not an option of ddim", "did you mean 'eta'?"]),
    ("--scheduler ddim --steps 3 --set eta", ["--set 'eta' is not name=value"]),
    ("--scheduler ddim --steps 3 --set eta=1 --set eta=2", ["eta is given twice"]),
    ("--scheduler ddim --steps 3 --set eta=cat", ["eta='cat'"]),
    ("--scheduler ddim --steps 3 --set eta=-1", ["eta=-1"]),
    ("--scheduler ddim --steps 3 --set eta=nan", ["eta=nan"]),
    (
        "--scheduler ddim --steps 3 --set beta_schedule=lineer",
        ["beta_schedule='lineer'", "did you mean 'linear'?"],
    ),
    ("--scheduler ddim --steps 3 --set timestep_spacing=even", ["timestep_spacing='even'", "leading, "]),
    ("--scheduler ddim --steps 3 --set trained_betas=[1,2", ["trained_betas=[1,2 is not JSON"]),
    ("--scheduler ddim --steps 3 --set beta_start=2", ["beta_start=2"]),
    ("--scheduler ddim --steps 3 --set num_train_timesteps=0", ["num_train_timesteps=0"]),
    (
        "--scheduler euler --steps 3 --set use_karras_sigmas=true --set use_beta_sigmas=true",
        ["use_karras_sigmas", "both"],
    ),
    (
        "--scheduler euler --set respacing=karras --set sigmas=5,1",
        ["sigmas", "respacing='karras'", "both"],
    ),
    ("--scheduler euler --steps 3 --set timesteps=900,500,100 --set sigmas=5,1,0.1", ["timesteps", "sigmas"]),
    ("--scheduler euler --steps 4 --set timesteps=900,500,100", ["steps=4", "timesteps", "3"]),
    ("--scheduler euler --set timesteps=100,500,900", ["timesteps"]),
    ("--scheduler euler --set sigmas=0,0,0", ["sigmas"]),
    ("--scheduler euler --set sigmas=nan,1", ["sigmas"]),
    (
        "--scheduler ddim --steps 3 --set rescale_betas_zero_snr=true --set timestep_spacing=trailing "
        "--set clip_sample=false",
        ["prediction_type='epsilon' gives infinity at timestep 999", "v_prediction"],
    ),
    ("--scheduler ddim --steps 3 --set prediction_type=sample", ["prediction_type='sample'", "'epsilon'"]),
    (
        "--scheduler dpm_multistep --steps 3 --set algorithm_type=dpmsolver --set final_sigmas_type=zero",
        ["dpmsolver"],
    ),
    ("--scheduler dpm_multistep --steps 3 --set solver_order=4", ["solver_order=4"]),
    ("--scheduler ddim --steps 3 --guidance-scale much", ["guidance_scale='much'", "'input'", "'none'"]),
    ("--scheduler ddim --steps 3 --guidance-scale 1,2,", ["guidance_scale='1,2,'", "one per step such as"]),
    ("--scheduler ddim --steps 3 --guidance-scale 1,2", ["guidance_scale has 2 entries", "3 steps"]),
    ("--scheduler ddim --steps 3 --guidance-interval 0.3,5", ["'0.3,5'", "UNIT:LO,HI", "sigma:0.3,5"]),
    ("--scheduler ddim --steps 3 --guidance-interval time:0,1", ["the unit 'time'", "steps:0.2,0.8"]),
    ("--scheduler ddim --steps 3 --guidance-interval sigma:5,0.3", ["LO < HI"]),
    ("--scheduler ddim --steps 3 --guidance-interval sigma:900,999", ["covers no guided", "guidance_scale none"]),
    ("--scheduler ddim --steps 3 --guidance-rescale 2", ["guidance_rescale=2.0", "from 0 to 1"]),
    ("--scheduler ddim --steps 3 --guidance-rescale 0.5 --guidance-scale none", ["needs guidance"]),
    ("--scheduler ddim --steps 3 --set cfg_pp=true --guidance-scale none", ["ddim with cfg_pp", "guidance_scale"]),
    ("--scheduler ddim --steps 3 --guidance-scale nan", ["guidance_scale=nan", "finite"]),
    ("--scheduler ddim --steps 3 --guidance-scale 1e999", ["guidance_scale=inf", "finite"]),
    (
        "--scheduler ddim --steps 3 --guidance-scale 2 --model cli_models:signal",
        ["guidance_scale=2", "condition"],
    ),
    ("--scheduler ddim --steps 3 --batch 0", ["batch='0'", "at least 1", "'dynamic'"]),
    ("--scheduler ddim --steps 3 --batch -1", ["batch='-1'"]),
    ("--scheduler ddim --steps 3 --batch many", ["batch='many'"]),
    ("--scheduler ddim --steps 3 --batch 99999999999999", ["batch=99999999999999"]),
    ("--scheduler ddim --steps 3 --sample-shape 2,8", ["sample_shape=(1, 2, 8)", "(B, 2, 8, 8)"]),
    ("--scheduler ddim --steps 3 --sample-shape 2,-8,8", ["sample_shape='2,-8,8'", "such as 4,32,32"]),
    ("--scheduler ddim --steps 3 --sample-shape x", ["sample_shape='x'"]),
    ("--scheduler ddim --steps 3 --condition class_labels=42", ["class_labels=42 is out of range", "0 to 4"]),
    ("--scheduler ddim --steps 3 --condition class_labels=1.5", ["class_labels=1.5 is not a whole number"]),
    ("--scheduler ddim --steps 3 --condition class_labels=nan", ["class_labels=nan is out of range"]),
    ("--scheduler ddim --steps 3 --condition class_labels=0,1", ["class_labels", "2 rows"]),
    (
        "--scheduler ddim --steps 3 --condition class_label=1",
        ["'class_label'", "did you mean 'class_labels'?"],
    ),
    ("--scheduler ddim --steps 3 --condition class_labels=[]", ["class_labels"]),
    ("--scheduler ddim --steps 3 --condition class_labels=[[1],[1,2]]", ["class_labels"]),
    ("--scheduler ddim --steps 3 --condition class_labels=null", ["class_labels"]),
    (
        "--scheduler ddim --steps 3 --condition class_labels=@no.npy",
        ["class_labels=@no.npy", "cannot be read"],
    ),
    (
        "--scheduler ddim --steps 3 --condition class_labels=float31:2",
        ["class_labels='float31:2'", "dtype:shape"],
    ),
    ("--scheduler ddim --steps 3 --condition class_labels=float32:a", ["class_labels"]),
    ("--scheduler ddim --steps 3 --condition class_labels=float32:9999999,9999999,9999999", ["class_labels"]),
    ("--scheduler ddim --steps 3 --condition seed=1", ["seed"]),
    ("--scheduler ddim --steps 3 --weights some", ["weights='some'", "auto, embed, external, copy"]),
    ("--scheduler ddim --steps 3 --name a/b", ["name='a/b'", "--output"]),
    ("--scheduler ddim --steps 3 --name .hidden", ["name='.hidden'"]),
    ("--scheduler ddim --steps 3 --name ..", ["name='..'"]),
    ("--scheduler ddim --steps 3 --output file", ["file is not a folder"]),
    ("--scheduler ddim --steps 3 --output file/deeper", ["file is not a folder"]),
    ("--scheduler ddim --steps 3 --output /proc/samplegraph", ["/proc/samplegraph"]),
    ("--scheduler ddim --steps 3 --output /dev/full", ["/dev/full is not a folder"]),
    ("--scheduler ddim --steps 3 --name " + "x" * 300, ["x.onnx"]),
    ("--scheduler ddim --steps 3 --output taken", ["taken/tiny-ddim-3.onnx is a folder"]),
    ("--scheduler ddim --steps 3 --output taken --name side", ["taken/side.onnx.json is a folder"]),
]


@pytest.mark.parametrize(("line", "words"), BAD, ids=[line[:90] for line, _ in BAD])
def test_options(line: str, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    Path("file").write_bytes(OLD)
    Path("taken/tiny-ddim-3.onnx").mkdir(parents=True)
    Path("taken/side.onnx.json").mkdir()
    Path("build").mkdir()
    Path("build/tiny-ddim-3.onnx").write_bytes(OLD)
    arguments = line.split()
    model = [] if "--model" in arguments else ["--model", "cli_models:tiny"]
    err = refused(["export", *model, *arguments], capfd)
    for word in words:
        assert word in err
    assert Path("build/tiny-ddim-3.onnx").read_bytes() == OLD


MODELS: list[tuple[str, int, list[str]]] = [
    ("digit", 2, ["model='digit' is not known", "did you mean 'digits'?", "package.module:factory"]),
    ("no_such_package:make", 2, ["no_such_package", "cannot be imported", "No module named"]),
    ("cli_models:tinny", 2, ["'tinny'", "did you mean 'tiny'?"]),
    ("cli_models:", 2, ["cli_models"]),
    (":tiny", 2, ["':tiny'"]),
    ("", 2, ["model=''"]),
    (":", 2, ["':'"]),
    ("..:x", 2, ["'..:x'"]),
    ("cli_models:NOT_CALLABLE", 2, ["NOT_CALLABLE"]),
    ("cli_models:raises", 2, ["cannot be made", "RuntimeError: no weights here"]),
    ("cli_models:leaves", 2, ["cannot be made", "SystemExit"]),
    ("cli_models:number", 2, ["returned int", "torch.nn.Module"]),
    ("cli_models:needs_argument", 2, ["cannot be made", "width"]),
    ("broken_syntax:make", 2, ["broken_syntax", "SyntaxError"]),
    ("broken_import:make", 2, ["broken_import", "ZeroDivisionError"]),
    ("leaving:make", 2, ["leaving", "SystemExit"]),
    ("cli_models:Wider", 2, ["output has shape (1, 3, 8, 8)", "sample (1, 2, 8, 8)"]),
    ("cli_models:Speaks", 2, ["returned str", "tensor"]),
    ("cli_models:Fails", 2, ["cannot be called", "ValueError: bad"]),
    ("cli_models:LooksUp", 2, ["cannot be called", "IndexError: index out of range"]),
    ("cli_models:Quits", 2, ["SystemExit"]),
    ("cli_models:Random", 2, ["random numbers", "RandomNormal"]),
    ("cli_models:Infinite", 1, ["eager sampler gives NaN or infinity"]),
    ("cli_models:Inconsistent", 1, ["differs from the eager sampler"]),
]


@pytest.mark.parametrize(("source", "code", "words"), MODELS, ids=[source or "nothing" for source, _, _ in MODELS])
def test_models(source: str, code: int, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    Path("broken_syntax.py").write_text("def make(:\n")
    Path("broken_import.py").write_text("1 / 0\n")
    Path("leaving.py").write_text("import sys\nsys.exit(3)\n")
    sys.path.insert(0, os.getcwd())
    sys.dont_write_bytecode = True
    try:
        err = refused(["export", "--scheduler", "ddim", "--steps", "2", "--model", source], capfd, code)
    finally:
        sys.path.remove(os.getcwd())
    for word in words:
        assert word in err
    assert not Path("build").exists()


@pytest.mark.parametrize("name", [*TAKEN, "negative_x", "no-identifier"])
def test_names_that_a_condition_cannot_have(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], networks: dict[str, Any]
) -> None:
    monkeypatch.setenv("CLASH", name)
    monkeypatch.delitem(networks, "cli_models:Clash", raising=False)
    err = refused(["export", "--scheduler", "ddim", "--steps", "2", "--model", "cli_models:Clash"], capfd)
    assert f"condition {name!r} is a name that is taken" in err


CONFIGS: list[tuple[str | bytes | None, list[str]]] = [
    (None, ["config.json", "No such file", "scheduler_config.json"]),
    ("", ["config.json", "is not JSON"]),
    ('{"_class_name": "DDIMSched', ["config.json", "is not JSON"]),
    (b"\xff\xfe\x00", ["config.json", "is not JSON"]),
    ("[1, 2]", ["config.json", "JSON list"]),
    ("3", ["config.json", "JSON int"]),
    ("{}", ["config.json", "_class_name"]),
    (
        '{"_class_name": "DDIMSchedular"}',
        ["'DDIMSchedular' is not supported", "did you mean 'DDIMScheduler'?"],
    ),
    ('{"_class_name": ["DDIMScheduler"]}', ["_class_name"]),
    ('{"_class_name": "DDIMScheduler", "etta": 1}', ["DDIMScheduler", "'etta' is not known"]),
    ('{"_class_name": "DDIMScheduler", "beta_schedule": "cosine"}', ["beta_schedule='cosine'"]),
    ('{"_class_name": "DDIMScheduler", "num_train_timesteps": "many"}', ["num_train_timesteps='many'"]),
    ('{"_class_name": "DDIMScheduler", "num_train_timesteps": 1e99}', ["num_train_timesteps"]),
    ('{"_class_name": "DDIMScheduler", "prediction_type": "v_prediction"}', ["'v_prediction'", "'epsilon'"]),
    ('{"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": 3}', ["use_karras_sigmas=3"]),
    ("[" * 100_000, ["config.json", "is not JSON"]),
]


@pytest.mark.parametrize(("content", "words"), CONFIGS, ids=[str(content)[:60] for content, _ in CONFIGS])
def test_configs(content: str | bytes | None, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        Path("config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = ["export", "--scheduler-config", "config.json", "--steps", "2", "--model", "cli_models:tiny"]
    err = refused(arguments, capfd)
    for word in words:
        assert word in err


def test_a_config_for_another_scheduler(capfd: pytest.CaptureFixture[str]) -> None:
    Path("config.json").write_text(json.dumps({"_class_name": "DDIMScheduler"}))
    options = ["--scheduler", "euler", "--scheduler-config", "config.json", "--steps", "2"]
    assert "scheduler='euler' contradicts config.json" in refused(["export", *options], capfd)


def test_a_condition_without_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--scheduler", "ddim", "--steps", "2", "--model", "cli_models:attention"]
    assert "sample_shape is missing" in refused(["export", *options], capfd)
    err = refused(["export", *options, "--sample-shape", "4,4,4"], capfd)
    assert "condition 'encoder_hidden_states' is missing" in err
    np.save("text.npy", np.array(["a"]))
    text = "encoder_hidden_states=@text.npy"
    err = refused(["export", *options, "--sample-shape", "4,4,4", "--condition", text], capfd)
    assert "condition encoder_hidden_states" in err


def test_a_failed_verification_leaves_the_old_files(capfd: pytest.CaptureFixture[str]) -> None:
    Path("build").mkdir()
    for name in ("fixed-ddim-2.onnx", "fixed-ddim-2.onnx.json"):
        Path("build", name).write_bytes(OLD)
    arguments = ["export", "--scheduler", "ddim", "--steps", "2", "--model", "cli_models:Inconsistent"]
    err = refused(arguments, capfd, code=1)
    assert "nothing was kept" in err
    assert Path("build/fixed-ddim-2.onnx").read_bytes() == OLD
    assert Path("build/fixed-ddim-2.onnx.json").read_bytes() == OLD


def test_a_full_disk_leaves_the_old_files(capfd: pytest.CaptureFixture[str]) -> None:
    """A limit on file sizes stands in for it: the graph is larger, its sidecar smaller."""
    Path("build").mkdir()
    for name in ("tiny-ddim-2.onnx", "tiny-ddim-2.onnx.json"):
        Path("build", name).write_bytes(OLD)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    arguments = ["export", "--scheduler", "ddim", "--steps", "2", "--model", "cli_models:tiny", "--no-verify"]
    resource.setrlimit(resource.RLIMIT_FSIZE, (7_000, limits[1]))
    try:
        err = refused(arguments, capfd)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "output build/tiny-ddim-2.onnx cannot be written (File too large)" in err
    assert Path("build/tiny-ddim-2.onnx").read_bytes() == OLD
    assert Path("build/tiny-ddim-2.onnx.json").read_bytes() == OLD


STARTS = """
import signal, sys
from samplegraph.export.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
print("started", flush=True)
sys.exit(main(sys.argv[1:], program="samplegraph"))
"""


@pytest.fixture(scope="module")
def duration(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds of an uninterrupted export."""
    start = time.perf_counter()
    process = _start(tmp_path_factory.mktemp("whole"))
    assert process.wait(timeout=120) == 0
    return time.perf_counter() - start


def _start(folder: Path) -> subprocess.Popen[str]:
    """An export in a process of its own, past the start of the interpreter."""
    (folder / "tmp").mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(TESTS),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder / "tmp"),
    }
    command = [sys.executable, "-c", STARTS, "export", "--scheduler", "ddim", "--steps", "20"]
    process = subprocess.Popen(
        [*command, "--model", "cli_models:tiny", "--output", str(folder / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


SOME = [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, *(pytest.param(s, marks=pytest.mark.slow) for s in SOME)])
def test_ctrl_c_at_any_phase(share: float, duration: float, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    process = _start(tmp_path)
    time.sleep(share * duration)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    made = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert list((tmp_path / "tmp").glob("samplegraph-*")) == []
    if process.returncode in (0, -signal.SIGINT):  # done, or done and past the end of Python's own handler
        assert made == ["tiny-ddim-20.onnx", "tiny-ddim-20.onnx.json"]
    else:
        assert (process.returncode, err) == (130, "error: interrupted\n")
        assert made == []
