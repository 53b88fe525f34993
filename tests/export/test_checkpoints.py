"""Weights that a safetensors file in or below the output folder holds are read from there."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from networks import TinyDiT, seeded
from safetensors.torch import load_file, save_file
from torch import nn

from samplegraph.export import Captures, ExportError, compile
from samplegraph.export.storage.checkpoints import read_header
from samplegraph.export.storage.placement import Placement
from samplegraph.export.verification.examples import example_inputs, run_eager
from samplegraph.export.verification.probe import run_graph
from samplegraph.models import Sampler
from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import METADATA_KEY
from samplegraph.runtime.manifest_file import read_manifest
from samplegraph.schedulers import create

FILE = "model.safetensors"


@pytest.fixture(scope="module")
def dit() -> nn.Module:
    """Convolutions, linear layers and a fused projection, most weights over 1 kB."""
    return seeded(TinyDiT(width=48, blocks=1))


@pytest.fixture(scope="module")
def known() -> Captures:
    return Captures()


@pytest.fixture
def save(dit: nn.Module, known: Captures, tmp_path: Path) -> Callable[..., Path]:
    """``save(steps, weights)`` writes a graph into the temporary folder, compared with eager."""

    def make(steps: int = 3, weights: str = "external", model: nn.Module = dit) -> Path:
        sampler = Sampler(model, create("ddim", steps))
        program = compile(sampler, weights=weights, captures=known if model is dit else None)
        path = program.save(tmp_path / f"{steps}.onnx")
        onnx.checker.check_model(path, full_check=True)
        inputs = example_inputs(sampler, program.signature, 0)
        expected = run_eager(sampler, inputs)
        assert np.abs(run_graph(path, inputs) - expected).max() <= 1e-5 * np.abs(expected).max()
        return path

    return make


def places(path: Path) -> dict[str, list[str]]:
    """Names of external tensors by the file that holds them."""
    found: dict[str, list[str]] = {}
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                found.setdefault(entry.value, []).append(tensor.name)
    return found


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_in_place(dit: nn.Module, save: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "unet" / FILE
    file.parent.mkdir()
    save_file(state(dit), file)
    first, second = save(3), save(5)
    assert not list(tmp_path.glob("*.bin"))
    for path in (first, second):
        assert set(places(path)) == {f"unet/{FILE}"}
        assert read_manifest(path).weights.files == (f"unet/{FILE}",)
        assert Engine(path)(seed=0, class_labels=[1]).shape == (1, 1, 8, 8)
    graph = onnx.load(second, load_external_data=False).graph
    stored = Counter(node.input[0] for node in graph.node if node.input[0].endswith(".stored"))
    assert len(stored) >= 4
    assert set(stored.values()) == {1}, "transposed once for all five sites"


def test_one_byte_that_differs(dit: nn.Module, save: Callable[..., Path], tmp_path: Path) -> None:
    save_file(state(dit), tmp_path / FILE)
    tensors = read_header(tmp_path / FILE)
    largest = max(tensors, key=lambda tensor: tensor.length)
    data = bytearray((tmp_path / FILE).read_bytes())
    data[largest.offset + largest.length - 1] ^= 1
    (tmp_path / FILE).write_bytes(data)
    path = save()
    own = read_manifest(path).weights.file
    found = places(path)
    assert set(found) == {own, FILE}
    assert own is not None
    assert len(found[own]) == 1
    assert (tmp_path / own).stat().st_size == largest.length


def test_shards(dit: nn.Module, save: Callable[..., Path], tmp_path: Path) -> None:
    tensors = list(state(dit).items())
    half = len(tensors) // 2
    names = [f"model-0000{k}-of-00002.safetensors" for k in (1, 2)]
    save_file(dict(tensors[:half]), tmp_path / names[0])
    save_file(dict(tensors[half:]), tmp_path / names[1])
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {}}))
    assert set(places(save())) == set(names)


def test_memory_mapped_weights(dit: nn.Module, save: Callable[..., Path], tmp_path: Path) -> None:
    save_file(state(dit), tmp_path / FILE)
    mapped = TinyDiT(width=48, blocks=1)
    mapped.load_state_dict(load_file(tmp_path / FILE), assign=True)
    assert set(places(save(model=mapped.eval().requires_grad_(False)))) == {FILE}


@pytest.mark.parametrize("how", ["copy", "half", "symlink", "hard link", "hidden"])
def test_copied(how: str, dit: nn.Module, save: Callable[..., Path], tmp_path: Path) -> None:
    tensors = state(dit)
    elsewhere = tmp_path / ".elsewhere"
    elsewhere.mkdir()
    save_file({k: v.half() if how == "half" else v for k, v in tensors.items()}, elsewhere / FILE)
    if how in ("copy", "half"):
        os.replace(elsewhere / FILE, tmp_path / FILE)
    elif how == "symlink":
        (tmp_path / FILE).symlink_to(elsewhere / FILE)
    elif how == "hard link":
        os.link(elsewhere / FILE, tmp_path / FILE)
    path = save(weights="copy" if how == "copy" else "external")
    (own,) = tmp_path.glob("*.bin")
    assert set(places(path)) == {own.name}
    assert not own.is_symlink()
    assert own.stat().st_nlink == 1


def lying(data: bytes, change: Callable[[dict[str, dict[str, object]]], object]) -> bytes:
    """A file with a changed header."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[:-1000],
    "header length": lambda data: (1 << 60).to_bytes(8, "little") + data[8:],
    "no JSON": lambda data: data[:8] + b"x" + data[9:],
    "beyond the end": lambda data: lying(data, lambda h: h["patch.bias"].update(data_offsets=[0, 1 << 40])),
    "shape": lambda data: lying(data, lambda h: h["patch.bias"].update(shape=[7])),
    "negative": lambda data: lying(data, lambda h: h["patch.bias"].update(data_offsets=[-192, 0])),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused(
    damage: str, dit: nn.Module, save: Callable[..., Path], tmp_path: Path
) -> None:
    save_file(state(dit), tmp_path / FILE)
    (tmp_path / FILE).write_bytes(DAMAGE[damage]((tmp_path / FILE).read_bytes()))
    with pytest.raises(ExportError, match=r"is no whole safetensors file .*weights='copy'") as caught:
        save()
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
    assert set(places(save(weights="copy"))) == {next(tmp_path.glob("*.bin")).name}


def test_a_graph_without_its_checkpoint(dit: nn.Module, save: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    save_file(state(dit), tmp_path / "unet" / FILE)
    path = save()
    (tmp_path / "unet" / FILE).rename(tmp_path / "away")
    with pytest.raises(InputError, match=r"weights file 'unet/model.safetensors' is missing; put it into unet beside"):
        Engine(path)


@pytest.mark.parametrize("location", ["../outside.safetensors", "/outside.safetensors"])
@pytest.mark.parametrize("listed", [True, False])
def test_a_graph_that_reads_outside_its_folder(
    listed: bool, location: str, dit: nn.Module, save: Callable[..., Path], tmp_path: Path
) -> None:
    """Refused where the manifest lists the file, and by ONNX Runtime where only the graph names it."""
    save_file(state(dit), tmp_path / FILE)
    path = save()
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    manifest = read_manifest(path)
    files = (location,) if listed else ()
    manifest = replace(manifest, weights=replace(manifest.weights, file=None, files=files))
    onnx.helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    os.replace(tmp_path / FILE, tmp_path / "outside.safetensors")
    moved = tmp_path / "inside" / "x.onnx"
    moved.parent.mkdir()
    moved.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="lie outside its folder" if listed else "ONNX Runtime cannot load it"):
        Engine(moved)


@pytest.mark.parametrize("layout", ["chunked:2", "step", "loop"])
def test_every_layout_reads_in_place(
    layout: str, dit: nn.Module, known: Captures, save: Callable[..., Path], tmp_path: Path
) -> None:
    save_file(state(dit), tmp_path / FILE)
    program = compile(Sampler(dit, create("ddim", 4)), weights="external", layout=layout, captures=known)
    first = program.save(tmp_path / "x.onnx")
    for path in tmp_path.glob("x*.onnx"):
        onnx.checker.check_model(path, full_check=True)
        assert set(places(path)) == {FILE}
    unrolled, found = (Engine(path)(seed=0, class_labels=[1], guidance_scale=2.0) for path in (save(4), first))
    assert not list(tmp_path.glob("*.bin"))
    assert np.abs(found - unrolled).max() <= 1e-5 * np.abs(unrolled).max()


def test_a_full_disk(dit: nn.Module, known: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fills up halfway through the weights; nothing is left, and an older graph is as it was."""
    program = compile(Sampler(dit, create("ddim", 3)), weights="copy", captures=known)
    (tmp_path / "x.onnx").write_bytes(b"older")

    def fill(placement: Placement, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Placement, "write", fill)
    with pytest.raises(ExportError, match=r"cannot be written \(No space left on device\)"):
        program.save(tmp_path / "x.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["x.onnx"]
    assert (tmp_path / "x.onnx").read_bytes() == b"older"
