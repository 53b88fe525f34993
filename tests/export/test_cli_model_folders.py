"""``--model FOLDER``: what is taken from a pipeline's folder, and what is said of folders that are not whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_pipelines import CASES, save

from samplegraph.export.cli import main
from samplegraph.models import load_model, scheduler_for
from samplegraph.runtime import read_manifest
from samplegraph.schedulers import OptionError

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a DDIM pipeline."""
    folder = tmp_path_factory.mktemp("pipelines") / "church"
    save(CASES["ddim"], folder)
    return folder


@pytest.fixture
def church(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may break, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for path in written.rglob("*"):
        if path.is_file():
            copy = tmp_path / "church" / path.relative_to(written)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return Path("church")


def test_a_folder_brings_its_scheduler_and_verifies_again(church: Path) -> None:
    assert main(["export", "--model", "church", "--steps", "2"], program="samplegraph") == 0
    manifest = read_manifest(Path("build/church-ddim-2.onnx"))
    assert manifest.scheduler.config["beta_schedule"] == "squaredcos_cap_v2"
    assert manifest.model.noise_schedule is not None
    assert manifest.model.noise_schedule["beta_schedule"] == "squaredcos_cap_v2"
    assert manifest.model.prediction_type == "epsilon"
    assert main(["verify", "build/church-ddim-2.onnx", "--model", "church/unet"], program="samplegraph") == 0


def test_another_scheduler_takes_over_the_options_it_has(church: Path) -> None:
    config = church / "scheduler" / "scheduler_config.json"
    changed = json.loads(config.read_text()) | {"timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    config.write_text(json.dumps(changed))
    model = load_model(church)
    own, other = scheduler_for(model, 4), scheduler_for(model, 4, "dpm_multistep", solver_order=3)
    assert own.name == "ddim"
    assert other.name == "dpm_multistep"
    assert (other.config["timestep_spacing"], other.config["solver_order"]) == ("trailing", 3)
    assert other.config["beta_schedule"] == "squaredcos_cap_v2"
    assert other.prediction.prediction_type == "v_prediction"


def test_a_component_by_itself_has_no_scheduler(church: Path, tmp_path: Path) -> None:
    (church / "unet").rename(tmp_path / "alone")
    model = load_model(tmp_path / "alone")
    with pytest.raises(OptionError, match="scheduler is missing: alone came with none"):
        scheduler_for(model, 4)
    assert scheduler_for(model, 4, "ddim").config["beta_schedule"] == "linear"


def test_any_size_and_any_number_of_tokens(tmp_path: Path) -> None:
    save(CASES["sd15"], tmp_path / "sd")
    options = ["--sample-shape", "4,8,16", "--condition", "encoder_hidden_states=float32:5,12", "--steps", "1"]
    arguments = ["export", "--model", str(tmp_path / "sd"), "--output", str(tmp_path), *options]
    assert main(arguments, program="samplegraph") == 0
    manifest = read_manifest(next(tmp_path.glob("*.onnx")))
    shapes = {t.name: t.shape for t in manifest.inputs}
    assert (shapes["noise"], shapes["encoder_hidden_states"]) == ((1, 4, 8, 16), (1, 5, 12))


def _change(name: str, **keys: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))

    return change


def _weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "unet" / WEIGHTS
        held = load_file(path)
        change(held)
        save_file(held, path)

    return apply


def _pickled(folder: Path) -> None:
    path = folder / "unet" / WEIGHTS
    torch.save(load_file(path), path.with_name("diffusion_pytorch_model.bin"))
    path.unlink()


BROKEN: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "no index": (lambda f: (f / "model_index.json").unlink(), ["neither model_index.json nor config.json", "it holds"]),
    "no config": (lambda f: (f / "unet/config.json").unlink(), ["church/unet' has no config.json", "save_pretrained"]),
    "no denoiser": (lambda f: (f / "model_index.json").write_text('{"vae": ["diffusers", "x"]}'), ["names no", "vae"]),
    "broken index": (lambda f: (f / "model_index.json").write_text("{"), ["model_index.json: is not JSON"]),
    "a list": (lambda f: (f / "unet/config.json").write_text("[]"), ["config.json: holds a JSON list"]),
    "unknown class": (
        _change("unet/config.json", _class_name="UNet2DModle"),
        ["_class_name='UNet2DModle' is not supported", "did you mean 'UNet2DModel'?"],
    ),
    "no weights": (lambda f: (f / "unet" / WEIGHTS).unlink(), [f"holds no {WEIGHTS}"]),
    "damaged weights": (lambda f: (f / "unet" / WEIGHTS).write_bytes(b"x" * 99), ["UNet2DModel cannot be loaded"]),
    "missing weight": (_weights(lambda w: w.pop("conv_out.bias")), ["lacks the weight 'conv_out.bias' of UNet2DModel"]),
    "extra weights": (
        _weights(lambda w: w.update({"a.b": torch.ones(1), "c": torch.ones(2)})),
        ["holds, and the config does not describe, the weight 'a.b' and 1 more"],
    ),
    "other shape": (
        _change("unet/config.json", in_channels=5),
        ["the weight 'conv_in.weight' has shape (8, 3, 3, 3)", "takes (8, 5, 3, 3)"],
    ),
    "nonsense in the config": (
        _change("unet/config.json", block_out_channels="many"),
        ["UNet2DModel cannot be loaded"],
    ),
    "pickle": (_pickled, ["holds diffusion_pytorch_model.bin, a pickle", "can run any code", "--allow-pickle"]),
    "scheduler": (
        _change("scheduler/scheduler_config.json", _class_name="DIMScheduler"),
        ["_class_name='DIMScheduler' is not supported", "did you mean 'DDIMScheduler'?"],
    ),
    "no class": (
        lambda f: (f / "unet/config.json").write_text('{"sample_size": 8}'),
        ["its config.json has no _class_name"],
    ),
    "no folder": (lambda f: shutil.rmtree(f / "unet"), ["names unet, and there is no folder 'unet'"]),
    "no size": (_change("unet/config.json", sample_size=0), ["sample_size=0 in config.json is not a size"]),
    "a size that does not fit": (
        _change("unet/config.json", sample_size=7),
        ["the model cannot be called", "Sizes of tensors must match"],
    ),
    "quantised": (
        _weights(lambda w: w.update({"conv_in.bias": w["conv_in.bias"].to(torch.int8)})),
        ["the weight 'conv_in.bias' is stored as I8", "not quantised"],
    ),
    "learned embedding": (
        _change("unet/config.json", class_embed_type="identity"),
        ["UNet2DModel with class_embed_type='identity' is not supported"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_folder_that_is_not_whole(what: str, church: Path, capfd: pytest.CaptureFixture[str]) -> None:
    spoil, words = BROKEN[what]
    spoil(church)
    assert main(["export", "--model", "church", "--steps", "2"], program="samplegraph") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "--debug" not in err
    assert all(word in err for word in words), err
    assert not Path("build").exists()


def test_a_pickle_is_read_where_that_is_allowed(church: Path) -> None:
    before = load_model(church).state_dict()
    _pickled(church)
    after = load_model(church, allow_pickle=True).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("source", ["nowhere/unet", "./church2"])
def test_a_path_that_is_not_there(source: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--model", source, "--scheduler", "ddim", "--steps", "2"], program="samplegraph") == 2
    assert f"model={source!r}: no such file or folder" in capfd.readouterr().err


def test_flux_shifts_its_timesteps_with_the_size(tmp_path: Path) -> None:
    save(CASES["flux"], tmp_path / "flux")
    model = load_model(tmp_path / "flux")
    small, large = (scheduler_for(model, 4, sample_shape=(4, side, side)) for side in (8, 64))
    assert small.config["mu"] < large.config["mu"]
    assert small.config["sigmas"] == pytest.approx((1.0, 0.75, 0.5, 0.25))
    config = tmp_path / "flux" / "scheduler" / "scheduler_config.json"
    alone = scheduler_for(model, 4, config=config, sample_shape=(4, 64, 64))
    assert alone.config["mu"] == large.config["mu"]
    assert scheduler_for(model, 2, mu=0.3, sigmas=[1.0, 0.5]).config["mu"] == 0.3
