"""Denoisers that are ONNX files: equal to the torch model they came from, and what is refused of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from networks import CrossAttention, seeded
from onnx import numpy_helper
from onnx_denoisers import AsOptimum, exported, in_hub_cache, traced, written
from tiny_pipelines import CASES, condition_unet, rows, save

from samplegraph.export import compile
from samplegraph.export.cli import main
from samplegraph.models import Sampler, load_model, scheduler_for
from samplegraph.runtime import Engine, read_manifest
from samplegraph.schedulers import OptionError, create


def sampled(path: Path, inputs: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """What the graph compiled from the ONNX file makes of these inputs."""
    example = {"encoder_hidden_states": inputs["encoder_hidden_states"]}
    program = compile(Sampler(load_model(path), create("dpm_multistep", 3)), shape, example)
    assert program.verify().error < 1e-5
    graph = program.save(path.with_name("made") / "graph.onnx")
    return np.asarray(Engine(graph)(**{k: v.numpy() for k, v in inputs.items()}))


def expected(network: torch.nn.Module, inputs: dict[str, Any]) -> np.ndarray[Any, Any]:
    """What the eager sampler over the torch model makes of them."""
    with torch.no_grad():
        found: np.ndarray[Any, Any] = Sampler(network, create("dpm_multistep", 3))(**inputs).numpy()
    return found


def close(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> bool:
    return bool(np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max())


TEXT = {
    "encoder_hidden_states": rows(1, 5, 12),
    "negative_encoder_hidden_states": rows(1, 5, 12, seed=8),
    "guidance_scale": torch.tensor(3.0),
    "noise": rows(1, 4, 8, 8, seed=9),
}


@pytest.mark.parametrize("form", ["open", "static", "external", "hub"])
def test_a_traced_unet_is_the_torch_model(form: str, tmp_path: Path) -> None:
    network = condition_unet()
    path = traced(network, tmp_path / "unet.onnx", 2 if form == "static" else None)
    if form in ("external", "hub"):
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="unet.data", size_threshold=0)
    if form == "hub":
        path = in_hub_cache(tmp_path, tmp_path.with_name("hub")) / "unet.onnx"
        assert path.is_symlink()
    assert close(sampled(path, TEXT, (1, 4, 8, 8)), expected(AsOptimum(network), TEXT))


@pytest.mark.parametrize("batch", [2, "dynamic"])
def test_an_exported_network_is_the_torch_model(batch: int | str, tmp_path: Path) -> None:
    network = seeded(CrossAttention())
    inputs = {
        "encoder_hidden_states": rows(2, 5, 6),
        "negative_encoder_hidden_states": rows(2, 5, 6, seed=8),
        "guidance_scale": torch.tensor(3.0),
        "noise": rows(2, 4, 4, 4, seed=9),
    }
    path = exported(network, tmp_path / "attention.onnx")
    example = {"encoder_hidden_states": rows(1, 5, 6)}
    sampler = Sampler(load_model(path), create("dpm_multistep", 3))
    program = compile(sampler, (1, 4, 4, 4), example, batch=batch)
    graph = program.save(tmp_path / "made" / "graph.onnx")
    ours = np.asarray(Engine(graph)(**{k: v.numpy() for k, v in inputs.items()}))
    assert close(ours, expected(network, inputs))


def test_a_folder_of_optimum_brings_sizes_and_scheduler(tmp_path: Path) -> None:
    pipeline = save(CASES["sd15"], tmp_path / "sd")
    next((tmp_path / "sd" / "unet").glob("*.safetensors")).unlink()
    traced(pipeline.unet, tmp_path / "sd" / "unet" / "model.onnx")
    model = load_model(tmp_path / "sd")
    assert model.spec.sample_shape == (4, 8, 8)
    assert model.spec.prediction_type == "epsilon"
    scheduler = scheduler_for(model, 4)
    assert (scheduler.name, scheduler.config["beta_schedule"]) == ("pndm", "scaled_linear")


GRAPH = "agraph (float[N,2,4] {sample}, float[{steps}] {t}{more}) => (float[N,2,4] y) {{ {body} }}"
PLAIN = "h = Mul({sample}, w) y = Add(h, w)"
W = numpy_helper.from_array(np.full(1, 0.5, np.float32), "w")


def graph_text(body: str = PLAIN, sample: str = "sample", t: str = "timestep", steps: str = "S", more: str = "") -> str:
    return GRAPH.format(body=body.format(sample=sample), sample=sample, t=t, steps=steps, more=more)


@pytest.mark.parametrize("t", ["float[S] t", "float[N] timesteps", "float timestep", "int64[1] time", "float16[1] t"])
def test_timesteps_of_any_form(t: str, tmp_path: Path) -> None:
    told = f"h = Cast<to = 1>({t.split()[1]}) i = Mul(h, w) j = Reshape(i, m) k = Mul(sample, j) y = Add(k, sample)"
    text = f"agraph (float[N,2,4] sample, {t}) => (float[N,2,4] y) {{ {told} }}"
    m = numpy_helper.from_array(np.array([-1 if "[N]" in t else 1, 1, 1]), "m")  # fails with too many entries
    small = numpy_helper.from_array(np.full(1, 1e-3, np.float32), "w")
    path = written(text, tmp_path / "own.onnx", w=small, m=m)
    program = compile(Sampler(load_model(path), create("ddim", 3)), (2, 2, 4))
    assert program.verify().error < 1e-5


def test_local_functions_are_written_out(tmp_path: Path) -> None:
    text = graph_text("y = custom.twice(sample)") + (
        '\n<domain: "custom", opset_import: ["" : 18]>\ntwice (x) => (z) { z = Add(x, x) }'
    )
    program = compile(Sampler(load_model(written(text, tmp_path / "own.onnx")), create("ddim", 2)), (1, 2, 4))
    assert program.verify().error < 1e-5


def outside(location: str) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


@pytest.mark.parametrize("how", ["elsewhere", "other repository", "not by the link", "blobs elsewhere"])
def test_a_link_of_the_hubs_cache_that_leaves_its_repository(how: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "w.bin").write_bytes(bytes(4))
    other = in_hub_cache(tmp_path / "own", tmp_path / "hub", "models--owner--other") / "w.bin"
    location = f"../../blobs/{other.resolve().name}" if how == "not by the link" else "w.bin"
    written(graph_text(), tmp_path / "own" / "own.onnx", w=outside(location))
    snapshot = in_hub_cache(tmp_path / "own", tmp_path / "hub")
    link = snapshot / "w.bin"
    if how in ("elsewhere", "other repository"):
        link.unlink()
        link.symlink_to(tmp_path / "own" / "w.bin" if how == "elsewhere" else other.resolve())
    if how == "blobs elsewhere":
        blobs = snapshot.parents[1] / "blobs"
        blobs.rename(tmp_path / "elsewhere")
        blobs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OptionError, match=r"weight 'w' lies in .*, (outside of the model's folder|which is not there)"):
        load_model(snapshot / "own.onnx")


BRANCH = "c = ReduceMax<keepdims = 0>({sample}) b = Greater(c, w) e = Squeeze(b) y = If(e) <" + (
    "then_branch = one () => (float[N,2,4] p) {{ p = Add({sample}, w) }}, "
    "else_branch = two () => (float[N,2,4] q) {{ q = Mul({sample}, w) }}>"
)
BAD: dict[str, tuple[str, onnx.TensorProto, list[str]]] = {
    "custom": (graph_text("y = custom.Magic({sample}, w)"), W, ["the operator custom.Magic", "standard operators"]),
    "random": (
        graph_text("n = RandomNormalLike({sample}) h = Add(n, w) y = Add(h, {sample})"),
        W,
        ["draws random numbers (RandomNormalLike)", "as an input"],
    ),
    "dropout": (
        graph_text(
            "r = Constant<value = float {{0.5}}>() b = Constant<value = bool {{1}}>() "
            "h = Dropout({sample}, r, b) y = Add(h, w)"
        ),
        W,
        ["draws random numbers (Dropout)", "evaluation mode"],
    ),
    "random in a branch": (
        graph_text(BRANCH.replace("p = Add({sample}, w)", "p = RandomNormalLike({sample})")),
        W,
        ["draws random numbers (RandomNormalLike)"],
    ),
    "branch": (graph_text(BRANCH), W, ["(If) has a branch or a loop", "without control flow"]),
    "outside": (graph_text(), outside("../secret.bin"), ["weight 'w' lies in '../secret.bin'", "outside of the model"]),
    "absolute": (graph_text(), outside("/etc/hostname"), ["lies in '/etc/hostname', outside of the model's folder"]),
    "gone": (graph_text(), outside("gone.bin"), ["lies in 'gone.bin', which is not there"]),
    "cut short": (graph_text(), outside("short.bin"), ["weight 'w' lies in 'short.bin', which is cut short"]),
    "undefined value": (graph_text("h = Mul({sample}, w) y = Add(h, nowhere)"), W, ["not valid ONNX", "'nowhere'"]),
    "unknown operator": (graph_text("y = Magic({sample}, w)"), W, ["is not valid ONNX (No Op registered for Magic"]),
    "shapes that clash": (
        graph_text("c = Constant<value = float[3] {{1, 2, 3}}>() h = Mul({sample}, w) y = Add(h, c)"),
        W,
        ["ONNX Runtime does not run it", "export the model anew"],
    ),
    "another dtype comes out": (
        graph_text("h = Mul({sample}, w) y = Cast<to = 10>(h)").replace("float[N,2,4] y", "float16[N,2,4] y"),
        W,
        ["the output 'y' is float16, the sample float32"],
    ),
    "no sample": (graph_text(sample="image"), W, ["takes image, timestep", "none of which is a sample"]),
    "no timestep": (graph_text(t="when"), W, ["none of which is a timestep", "call that input 'timestep'"]),
    "open condition": (
        graph_text(more=", float[N,L,6] memory"),
        W,
        ["condition memory has no usual shape", "(B, any, 6)", "--condition memory=float32:8,6"],
    ),
    "axes that disagree": (
        graph_text(more=", float[N,N] memory"),
        W,
        ["the axis 'N' cannot be 2 in sample and 9 in memory"],
    ),
    "doubles": (graph_text().replace("float[N,2,4] sample", "double[N,2,4] sample"), W, ["'sample' is float64"]),
    "two timesteps": (graph_text(steps="S,2"), W, ["timestep input 'timestep' has shape ('S', 2)"]),
    "rows": (graph_text().replace("[N,", "[3,"), W, ["was made for 3 rows", "needs 1 rows a call", "dynamic batch"]),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path.parent / "secret.bin").write_bytes(bytes(4))
    Path("short.bin").write_bytes(bytes(3))
    text, tensor, words = BAD[what]
    written(text, Path("own.onnx"), w=tensor)
    options = ["--condition", "memory=float32:9"] if what.startswith("axes") else []
    options += ["--scheduler", "ddim", "--steps", "2", "--sample-shape", "2,4"]
    assert main(["export", "--model", "own.onnx", *options], program="samplegraph") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--debug" not in err
    assert all(word in err for word in words), err
    assert not Path("build").exists()


@pytest.mark.parametrize("data", [b"", b"not onnx at all", b"\x08\x08"])
def test_a_file_that_is_not_onnx(data: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(data)
    assert main(["export", "--model", str(path), "--scheduler", "ddim", "--steps", "2"], program="samplegraph") == 2
    assert "give a whole .onnx file" in capfd.readouterr().err


def test_an_operator_set_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line, without what the converter says of it."""
    path = written(graph_text(), tmp_path / "own.onnx", w=W)
    model = onnx.load(path)
    model.opset_import[0].version = 5
    path.write_bytes(model.SerializeToString())
    options = ["--scheduler", "ddim", "--steps", "2", "--sample-shape", "2,4"]
    assert main(["export", "--model", str(path), *options], program="samplegraph") == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "own.onnx" in err


def test_what_was_made_from_a_file_is_verified_against_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(graph_text(), Path("own.onnx"), w=W)
    options = ["--model", "own.onnx", "--scheduler", "ddim", "--steps", "2", "--sample-shape", "2,4"]
    assert main(["export", *options], program="samplegraph") == 0
    made = Path("build/own-ddim-2.onnx")
    assert read_manifest(made).model.name == "own"
    assert main(["verify", str(made), "--model", "own.onnx"], program="samplegraph") == 0
    written(graph_text(PLAIN.replace("Mul", "Div")), Path("own.onnx"), w=W)
    assert main(["verify", str(made), "--model", "own.onnx"], program="samplegraph") == 1
