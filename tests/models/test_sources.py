"""Weights in files of their own, and folders on the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx_denoisers import in_hub_cache, written
from safetensors.torch import load_file, save_file
from tiny_pipelines import CASES, save

from samplegraph.models import load_model, scheduler_for
from samplegraph.models.digits import WEIGHTS
from samplegraph.models.sources.weights import plain_weights
from samplegraph.models.tokens import WEIGHTS as LEVELS
from samplegraph.schedulers import OptionError


@pytest.mark.parametrize(("built_in", "weights"), [("digits", WEIGHTS), ("tokens", LEVELS)])
@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_weights_of_a_built_in_architecture(built_in: str, weights: Path, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine.{ending}"
    held = load_file(weights)
    if ending == "pt":
        torch.save({"state_dict": held}, path)
    else:
        save_file(held, path)
    own, model = load_model(built_in), load_model(path, allow_pickle=ending == "pt")
    assert type(model) is type(own)
    assert model.spec.name == "mine"
    assert model.spec.conditions == own.spec.conditions
    assert all(torch.equal(value, own.state_dict()[name]) for name, value in model.state_dict().items())


def changed(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    held: dict[str, Any] = {**load_file(WEIGHTS), **changes}
    return {name: value for name, value in held.items() if value is not None}


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda p: save_file(changed(**{"head.bias": None}), p), "lacks the weight 'head.bias'"),
    "extra": (lambda p: save_file(changed(more=torch.ones(1)), p), "holds, and digits has not, the weight 'more'"),
    "shape": (
        lambda p: save_file(changed(**{"head.bias": torch.ones(2)}), p),
        r"'head.bias' has shape \(2,\), and digits takes \(1,\)",
    ),
    "whole numbers": (
        lambda p: save_file(changed(**{"head.bias": torch.ones(1, dtype=torch.int8)}), p),
        "'head.bias' is int8; give weights that are not quantised",
    ),
    "nothing": (lambda p: save_file({}, p), "holds no weights; give a file that does"),
    "foreign": (lambda p: save_file({"a.weight": torch.ones(1)}, p), "such as 'a.weight', of no built-in architecture"),
    "levels": (lambda p: save_file({"levels": torch.ones(3, 2)}, p), r"holds levels \(3, 2\); tokens takes"),
    "damaged": (lambda p: p.write_bytes(b"x" * 40), "holds no weights that can be read"),
    "gone": (lambda p: None, "no such file or folder"),
}


@pytest.mark.parametrize("what", BAD)
def test_files_that_do_not_fit(what: str, tmp_path: Path) -> None:
    make, words = BAD[what]
    make(tmp_path / "mine.safetensors")
    with pytest.raises(OptionError, match=words) as caught:
        load_model(tmp_path / "mine.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["pt", "bin", "ckpt", "pth"])
def test_a_pickle_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine.{ending}"
    torch.save(load_file(LEVELS), path)
    with pytest.raises(OptionError, match="is a pickle: reading a pickle can run any code that is in it"):
        load_model(path)


def test_a_pickle_that_would_run_code_is_not_run_even_with_leave(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"levels": Runs()}, tmp_path / "mine.pt")
    with pytest.raises(OptionError, match="holds more than weights"):
        load_model(tmp_path / "mine.pt", allow_pickle=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("held", "words"), [([torch.ones(1)], "holds a list, and not weights by name"), ({}, "holds no weights")]
)
def test_a_pickle_of_something_else(held: Any, words: str, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "mine.pt")
    with pytest.raises(OptionError, match=words):
        load_model(tmp_path / "mine.pt", allow_pickle=True)


STEM = "diffusion_pytorch_model"


@pytest.mark.parametrize(
    ("held", "pickles", "taken"),
    [
        ([".safetensors", ".fp16.safetensors", ".bin"], True, [".safetensors"]),
        ([".fp16.safetensors", ".bin"], False, [".fp16.safetensors"]),
        ([".bin", ".fp16.bin"], True, [".bin"]),
        ([".bin"], False, []),
        (["-00001-of-00002.safetensors", "-00002-of-00002.safetensors"], False, "all"),
        ([".safetensors.index.json"], False, []),
    ],
)
def test_which_weights_are_taken(held: list[str], pickles: bool, taken: list[str] | str) -> None:
    wanted = held if taken == "all" else taken
    assert plain_weights([STEM + name for name in held], pickles) == [STEM + name for name in wanted]


def test_a_folder_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(CASES["ddim"], tmp_path / "snapshots" / "0123abc")
    asked: dict[str, Any] = {}

    def fetched(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(tmp_path / "snapshots" / "0123abc")

    files = ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json", f"unet/{STEM}.safetensors"]
    unwanted = [f"unet/{STEM}.fp16.safetensors", f"unet/{STEM}.bin", "vae/model.safetensors", "README.md"]
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: files + unwanted)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    model = load_model("hub:owner/church@main")
    assert model.spec.name == "church"
    assert (asked["repository"], asked["revision"]) == ("owner/church", "main")
    assert sorted(asked["allow_patterns"]) == sorted(files)


def test_a_graph_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the cache, whose files are links; beside it lie weights of other programs."""
    w = numpy_helper.from_array(np.full(1, 0.5, np.float32), "w")
    (tmp_path / "own" / "unet").mkdir(parents=True)
    text = "agraph (float[N,2,4] sample, float[N] timestep) => (float[N,2,4] y) { y = Mul(sample, w) }"
    path = written(text, tmp_path / "own" / "unet" / "model.onnx", w=w)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    save(CASES["ddim"], tmp_path / "ddim")
    for name in ("model_index.json", "scheduler"):
        (tmp_path / "ddim" / name).rename(tmp_path / "own" / name)
    files = [str(path.relative_to(tmp_path / "own")) for path in (tmp_path / "own").rglob("*") if path.is_file()]
    fetched: list[str] = []
    monkeypatch.setattr(
        huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: [*files, "unet/README.md", "vae/model.onnx"]
    )
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda *_, allow_patterns, **__: (
            fetched.extend(allow_patterns) or str(in_hub_cache(tmp_path / "own", tmp_path / "hub"))
        ),
    )
    model = load_model("hub:owner/name")
    assert {"unet/model.onnx", "unet/w.bin", "model_index.json"} <= set(fetched)
    assert "vae/model.onnx" not in fetched
    assert scheduler_for(model, 3).name == "ddim"
    assert torch.equal(model(torch.ones(1, 2, 4), torch.zeros(1)), torch.full((1, 2, 4), 0.5))


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", unreachable)
    with pytest.raises(OptionError, match=r"cannot be fetched \(ConnectionError: no route\); check the name"):
        load_model("hub:owner/church")
    with pytest.raises(OptionError, match="names no repository; give hub:owner/name"):
        load_model("hub:church")
