"""``samplegraph export`` and ``verify`` from command line to files, over small models."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from samplegraph.export.cli import main
from samplegraph.runtime import Engine, read_manifest

TESTS = Path(__file__).parents[1]
DDIM = ("--scheduler", "ddim", "--steps", "3")
TINY = ("--model", "cli_models:tiny")
HIDDEN = ("--model", "cli_models:attention", "--sample-shape", "4,4,4")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


pytestmark = pytest.mark.usefixtures("quick_export")


def samplegraph(*arguments: str) -> int:
    return main(arguments, program="samplegraph")


@pytest.mark.parametrize(
    ("options", "stem"),
    [
        ([], "tiny-ddim-3"),
        (["--batch", "8"], "tiny-ddim-3-b8"),
        (["--batch", "dynamic"], "tiny-ddim-3-bdynamic"),
        (["--guidance-scale", "2"], "tiny-ddim-3-g2"),
        (["--guidance-scale", "2.50"], "tiny-ddim-3-g2.5"),
        (["--guidance-scale", "none"], "tiny-ddim-3-g1"),
        (["--guidance-scale", "1"], "tiny-ddim-3-g1"),
        (["--guidance-scale", "input"], "tiny-ddim-3"),
        (["--batch", "2", "--guidance-scale", "2"], "tiny-ddim-3-b2-g2"),
        (["--guidance-scale", "3,1,2.5"], f"tiny-ddim-3-gl{hashlib.sha256(b'(3.0, 1.0, 2.5)').hexdigest()[:6]}"),
        (["--guidance-interval", "sigma:0.3,inf", "--guidance-rescale", "0.7"], "tiny-ddim-3-gi0.3-inf-gr0.7"),
        (["--guidance-scale", "2", "--guidance-interval", "steps:0,0.5"], "tiny-ddim-3-g2-gs0-0.5"),
        (["--strength", "0.7"], "tiny-ddim-3-s0.7"),
        (["--strength", "1"], "tiny-ddim-3-s1"),
        (["--begin", "2", "--batch", "2"], "tiny-ddim-3-begin2-b2"),
        (["--begin", "0"], "tiny-ddim-3-begin0"),
        (["--inpaint"], "tiny-ddim-3-inpaint"),
        (["--inpaint", "--strength", "0.70"], "tiny-ddim-3-s0.7-inpaint"),
        (["--name", "mine"], "mine"),
    ],
)
def test_file_names(options: list[str], stem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", *DDIM, *TINY, "--no-verify", *options, "--output", "out") == 0
    assert sorted(p.name for p in Path("out").iterdir()) == [f"{stem}.onnx", f"{stem}.onnx.json"]
    assert capsys.readouterr().err == ""
    manifest = read_manifest(f"out/{stem}.onnx")
    assert manifest.name == stem
    assert read_manifest(f"out/{stem}.onnx.json") == manifest
    assert Path(f"out/{stem}.onnx.json").read_text() == manifest.to_json()


def test_a_model_without_conditions_has_no_guidance_in_its_name() -> None:
    assert samplegraph("export", *DDIM, "--model", "cli_models:signal", "--guidance-scale", "none") == 0
    assert Path("build/signal-ddim-3.onnx").is_file()


def test_a_name_that_is_no_file_name_is_made_one() -> None:
    assert samplegraph("export", *DDIM, "--model", "cli_models:NamedLikeAPath", "--no-verify") == 0
    assert sorted(p.name for p in Path("build").iterdir())[0] == "org-model-v1-ddim-3.onnx"


def test_the_summary_and_a_verified_graph(capsys: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", *DDIM, *TINY, "--output", "deep/er") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].strip() == "deep/er/tiny-ddim-3.onnx"
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.count("│") == 3]
    for name in ("nodes", "graph file", "weights", "denoiser evaluations (NFE)", "max error", "seconds"):
        assert name in rows
    nodes = len(onnx.load("deep/er/tiny-ddim-3.onnx").graph.node)
    assert f"│ {nodes:,} " in out
    assert "relative to eager" in out
    sample = Engine("deep/er/tiny-ddim-3.onnx")(seed=0, class_labels=[1])
    assert sample.shape == (1, 2, 8, 8)
    assert np.isfinite(sample).all()


def test_the_same_command_twice_gives_the_same_bytes() -> None:
    for folder in ("a", "b"):
        assert samplegraph("export", *DDIM, *TINY, "--output", folder) == 0
    for name in ("tiny-ddim-3.onnx", "tiny-ddim-3.onnx.json"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()


def test_scheduler_options_reach_the_scheduler() -> None:
    options = ("--set", "eta=0.5", "--set", "timestep_spacing=trailing", "--set", "clip_sample=false")
    assert samplegraph("export", *DDIM, *TINY, *options) == 0
    manifest = read_manifest("build/tiny-ddim-3.onnx")
    assert manifest.scheduler.config["eta"] == 0.5
    assert manifest.noise.slices == 3
    assert manifest.tables.timesteps[0] == 999


def test_a_scheduler_config_decides() -> None:
    config = {
        "_class_name": "EulerDiscreteScheduler",
        "use_karras_sigmas": True,
        "beta_schedule": "scaled_linear",
    }
    Path("scheduler_config.json").write_text(json.dumps(config))
    assert samplegraph("export", "--scheduler-config", "scheduler_config.json", "--steps", "4", *TINY) == 0
    manifest = read_manifest("build/tiny-euler-4.onnx")
    assert manifest.scheduler.config["respacing"] == "karras"
    assert manifest.scheduler.config["beta_schedule"] == "scaled_linear"
    set_too = ("--set", "use_karras_sigmas=false", "--scheduler", "euler", "--name", "plain")
    assert samplegraph("export", "--scheduler-config", ".", "--steps", "4", *TINY, *set_too) == 0
    assert read_manifest("build/plain.onnx").scheduler.config["respacing"] is None


@pytest.mark.parametrize(
    ("scale", "mode", "inputs"),
    [("input", "input", 3), ("2.5", "baked", 2), ("none", "none", 2), ("2.5,3,1", "per_step", 2)],
)
def test_guidance(scale: str, mode: str, inputs: int) -> None:
    assert samplegraph("export", *DDIM, *TINY, "--guidance-scale", scale, "--name", "x") == 0
    manifest = read_manifest("build/x.onnx")
    assert manifest.guidance.mode == mode
    assert len(manifest.inputs) == inputs
    assert manifest.guidance.scale == {"input": 2.0, "baked": 2.5, "none": None, "per_step": None}[mode]
    assert manifest.guidance.scales == ((2.5, 3.0, 1.0) if mode == "per_step" else ())
    assert samplegraph("verify", "build/x.onnx", *TINY) == 0


def test_batches() -> None:
    assert samplegraph("export", *DDIM, *TINY, "--batch", "3") == 0
    assert read_manifest("build/tiny-ddim-3-b3.onnx").batch == 3
    assert samplegraph("export", *DDIM, *TINY, "--batch", "dynamic") == 0
    assert read_manifest("build/tiny-ddim-3-bdynamic.onnx").batch is None
    few = Engine("build/tiny-ddim-3-b3.onnx")(seed=[1, 2], class_labels=[0, 1])
    any_number = Engine("build/tiny-ddim-3-bdynamic.onnx")(seed=[1, 2], class_labels=[0, 1])
    assert np.abs(few - any_number).max() <= 1e-5 * np.abs(few).max()


def test_external_weights_lie_beside_the_graphs_that_share_them() -> None:
    """``digits``, because weights under 1 kB are always embedded."""
    for steps in ("1", "2"):
        options = ("--scheduler", "ddim", "--steps", steps, "--weights", "external", "--no-verify")
        assert samplegraph("export", *options, "--output", "out") == 0
    weights = [p.name for p in Path("out").glob("weights-*.bin")]
    manifest = read_manifest("out/digits-ddim-1.onnx")
    assert weights == [f"weights-{manifest.weights.sha256[:12]}.bin"]
    assert len(list(Path("out").iterdir())) == 5
    assert Path("out/digits-ddim-2.onnx").stat().st_size < manifest.weights.bytes / 2
    assert samplegraph("verify", "out/digits-ddim-2.onnx") == 0


def test_weights_that_are_not_what_their_name_says_are_written_again() -> None:
    options = (
        "--scheduler",
        "ddim",
        "--steps",
        "1",
        "--weights",
        "external",
        "--no-verify",
        "--output",
        "out",
    )
    assert samplegraph("export", *options) == 0
    (weights,) = Path("out").glob("weights-*.bin")
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert samplegraph("export", *options) == 0
    assert weights.read_bytes() == good


@pytest.mark.parametrize("value", ["float32:7,6", "@tokens.npy"])
def test_a_model_that_declares_nothing(value: str) -> None:
    np.save("tokens.npy", np.ones((1, 7, 6), np.float32))
    condition = ("--condition", f"encoder_hidden_states={value}")
    assert samplegraph("export", *DDIM, *HIDDEN, *condition, "--set", "clip_sample=false") == 0
    manifest = read_manifest("build/crossattention-ddim-3.onnx")
    assert [t.name for t in manifest.inputs] == [
        "noise",
        "encoder_hidden_states",
        "negative_encoder_hidden_states",
        "guidance_scale",
    ]
    assert manifest.inputs[1].shape == (1, 7, 6)
    assert manifest.sample_shape == (4, 4, 4)
    verify = ("verify", "build/crossattention-ddim-3.onnx", "--model", "cli_models:attention")
    assert samplegraph(*verify) == 0


def test_verify(capsys: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", *DDIM, *TINY, "--no-verify") == 0
    assert "not verified" in capsys.readouterr().out
    assert samplegraph("verify", "build/tiny-ddim-3.onnx", *TINY, "--seed", "5") == 0
    out = capsys.readouterr().out
    assert out.startswith("build/tiny-ddim-3.onnx: max error ")
    assert "seed 5" in out


def test_verify_finds_a_weight_that_was_changed(capfd: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", *DDIM, *TINY, "--no-verify") == 0
    model = onnx.load("build/tiny-ddim-3.onnx")
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    values = onnx.numpy_helper.to_array(weight) + np.float32(0.01)
    weight.raw_data = values.tobytes()
    onnx.save(model, "build/changed.onnx")
    capfd.readouterr()
    assert samplegraph("verify", "build/changed.onnx", *TINY) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: changed.onnx differs from the eager sampler by ")
    assert err.count("\n") == 1
    assert Path("build/changed.onnx").is_file()


@pytest.mark.parametrize("program", [[sys.executable, "-m", "samplegraph.export"], ["env", "export"]])
def test_programs(program: list[str], tmp_path: Path) -> None:
    """The two ways past bash's builtin, in processes of their own."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {"PATH": path, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    command = [*program, *DDIM, *TINY, "--output", "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "max error" in done.stdout
    assert sorted(p.name for p in Path("out").iterdir()) == ["tiny-ddim-3.onnx", "tiny-ddim-3.onnx.json"]
