"""A Triton model repository: its configuration by Triton's own schema, and merged calls row by row."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from conftest import toy_graph, toy_manifest
from torch import nn
from triton_files import check, compiled

from samplegraph.export import Captures
from samplegraph.export.cli import main
from samplegraph.export.errors import ExportError
from samplegraph.export.triton.graph import batch_first
from samplegraph.export.triton.model import lay_out
from samplegraph.export.triton.served import MAX_BATCH
from samplegraph.runtime import Engine, read_manifest
from samplegraph.runtime.manifest import Tensor

LABELS = Tensor("class_labels", "int64", ("B",), "condition", "class", minimum=0, maximum=10)


@pytest.mark.parametrize(
    ("scheduler", "layout", "scale"),
    [
        ("ddim", "unrolled", None),
        ("ddpm", "unrolled", None),
        ("ddpm", "loop", None),
        ("ddpm", "unrolled", 2.0),
        ("dpm_multistep_inverse", "unrolled", None),
    ],
)
def test_merged_calls_give_each_row_its_own_sample(
    scheduler: str,
    layout: str,
    scale: float | None,
    captures: Captures,
    denoisers: dict[str, nn.Module],
    tmp_path: Path,
    schema: Any,
) -> None:
    """Noise and guidance scale are those of the row, whoever else is in the call."""
    file = compiled(
        tmp_path, scheduler, captures, denoisers["tinydit"], scale, layout=layout, batch="dynamic", weights="external"
    )
    made = lay_out(file, tmp_path / "models", max_batch=16)
    assert made.max_batch == 16
    config = check(made.folder, schema)
    assert config.max_batch_size == 16
    assert config.HasField("dynamic_batching")
    onnx.checker.check_model(str(made.folder / "model.onnx"), full_check=True)
    rng = np.random.default_rng(0)
    requests = []
    for row in range(3):
        tensors = {i.name: (1, *i.dims) for i in config.input}
        request: dict[str, Any] = {
            name: rng.standard_normal(shape).astype("float32")
            for name, shape in tensors.items()
            if "noise" in name or name == "init_sample"
        }
        request["class_labels"] = np.array([row + 1])
        if "guidance_scale" in tensors:
            request["guidance_scale"] = np.full(tensors["guidance_scale"], 1.5 + 2 * row, "float32")
        requests.append(request)
    merged = {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
    session = onnxruntime.InferenceSession(str(made.folder / "model.onnx"))
    (found,) = session.run(None, merged)
    engine = Engine(file)
    for row, request in enumerate(requests):
        own = dict(request)
        if "step_noise" in own:
            own["step_noise"] = np.moveaxis(own["step_noise"], 1, 0)
        if "guidance_scale" in own:
            own["guidance_scale"] = own["guidance_scale"].item()
        expected = engine(**own)[0]
        assert np.abs(found[row] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_version_holds_the_graph_its_weights_and_its_manifest(
    captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path, schema: Any
) -> None:
    file = compiled(tmp_path, "ddim", captures, denoisers["tinydit"], batch=2, weights="external")
    manifest = read_manifest(file)
    made = lay_out(file, tmp_path / "models", name="robot", version=3)
    assert made.folder == tmp_path / "models" / "robot" / "3"
    assert made.note is not None
    assert "its batch of 2 is fixed" in made.note
    assert manifest.weights.file is not None
    assert {path.name for path in made.folder.iterdir()} == {"model.onnx", "manifest.json", manifest.weights.file}
    assert not any(path.is_symlink() for path in (tmp_path / "models").rglob("*"))
    assert read_manifest(made.folder / "manifest.json") == manifest
    config = check(made.folder, schema)
    assert config.parameters["samplegraph.manifest"].string_value == "manifest.json"
    assert not config.HasField("dynamic_batching")
    shutil.rmtree(file.parent)
    assert Engine(made.folder / "model.onnx")(seed=0, class_labels=[1, 2]).shape == (2, 1, 8, 8)


def test_a_changed_graph_no_longer_claims_its_manifest(toy: Callable[..., Path], tmp_path: Path) -> None:
    file = toy(batch="batch", slices=2, conditions=(LABELS,))
    made = lay_out(file, tmp_path / "models")
    assert made.max_batch == MAX_BATCH
    assert not onnx.load(made.folder / "model.onnx").metadata_props
    plain = lay_out(file, tmp_path / "models", name="plain", max_batch=0)
    assert (plain.folder / "model.onnx").read_bytes() == file.read_bytes()


def test_a_scale_that_does_more_than_multiply_is_left_alone(
    toy: Callable[..., Path], tmp_path: Path, schema: Any
) -> None:
    file = toy(batch="batch", slices=2)
    made = lay_out(file, tmp_path / "models")
    assert made.max_batch == 0
    assert "guidance_scale" in str(made.note)
    assert (made.folder / "model.onnx").read_bytes() == file.read_bytes()
    dims = [list(each.dims) for each in check(made.folder, schema).input]
    assert dims == [[-1, 1, 4, 4], [2, -1, 1, 4, 4], [-1], [1]]
    with pytest.raises(ExportError, match=r"max_batch=4: calls of .* cannot be merged: its uses of guidance_scale"):
        lay_out(file, tmp_path / "models", version=2, max_batch=4)


@pytest.mark.parametrize(("op", "fits"), [("Mul", True), ("Sub", False)])
def test_a_scale_per_row_is_for_products_only(op: str, fits: bool) -> None:
    text = f'''<ir_version: 9, opset_import: ["": 18]> g (float[batch, 1, 4, 4] noise, float guidance_scale)
        => (float[batch, 1, 4, 4] sample) {{ sample = {op}(noise, guidance_scale) }}'''
    model = ir.from_onnx_text(text)
    scale = Tensor("guidance_scale", "float32", (), "guidance_scale")
    assert (batch_first(model, toy_manifest(batch="batch", conditions=(scale,))) is not None) == fits


def test_a_sampler_that_mixes_its_rows_is_not_merged(tmp_path: Path) -> None:
    for mixes, config in ((True, {"per_sample": False}), (False, {"per_sample": True})):
        manifest = toy_manifest(batch="batch", conditions=(LABELS,))
        info = replace(manifest.scheduler, name="score_sde_ve", config={"correct_steps": 1, **config})
        file = tmp_path / f"{mixes}.onnx"
        file.write_bytes(toy_graph(replace(manifest, scheduler=info)).SerializeToString())
        assert (lay_out(file, tmp_path / "models", name=str(mixes)).max_batch == 0) == mixes


def test_versions_stand_side_by_side_and_force_replaces_one(toy: Callable[..., Path], tmp_path: Path) -> None:
    models, file = tmp_path / "models", toy(batch="batch", conditions=(LABELS,))
    first = lay_out(file, models).folder
    (first / "mine.txt").write_text("x")
    second = lay_out(file, models, version=2).folder
    assert (first / "model.onnx").read_bytes() == (second / "model.onnx").read_bytes()
    assert (first / "mine.txt").exists()
    lay_out(file, models, max_batch=4, force=True)
    assert not (first / "mine.txt").exists()
    assert "max_batch_size: 4" in (first.parent / "config.pbtxt").read_text()
    assert {path.name for path in first.parent.iterdir()} == {"1", "2", "config.pbtxt"}
    assert [path.name for path in models.iterdir()] == ["toy-ddim-3"]


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_the_repository_as_it_was(
    there: bool, toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, file = tmp_path / "models", toy(batch="batch", conditions=(LABELS,))
    models.mkdir()
    if there:
        lay_out(file, models)
    before = sorted(models.rglob("*"))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(ExportError, match=r"cannot be written \(No space left on device\)"):
        lay_out(file, models, version=2)
    assert sorted(models.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.onnx",), "no such file"),
        (("empty.onnx",), "not an ONNX file"),
        (("foreign.onnx",), "holds no samplegraph manifest"),
        (("lying.onnx",), "the manifest says noise is ['batch', 1, 4, 4], in the graph it is [2,1,4,4]"),
        (("moved.onnx",), "its weights file 'w.bin' is missing"),
        (("outside.onnx",), "its weights '../w.bin' lie outside its folder"),
        (("optimised.onnx",), "give the plain graph"),
        (("chunk.onnx",), "is chunk 0 of 2 and is not called so"),
        (("toy.sm89.engine",), "no such file; keep the sidecar beside"),
        (("toy.onnx", "--name", "../x"), "name='../x' is not allowed"),
        (("toy.onnx", "--name", ".x"), "name='.x' is not allowed"),
        (("toy.onnx", "--version", "0"), "version=0 is not allowed"),
        (("toy.onnx", "--version", "one"), "version=one is not allowed; give a whole number"),
        (("toy.onnx", "--max-batch", "-1"), "max_batch=-1 is not allowed"),
        (("toy.onnx", "--name", "there"), "version=1 of models/there exists; give another version, or --force"),
        (("toy.onnx", "--name", "there", "--version", "2"), "models/there/config.pbtxt says otherwise than this graph"),
        (("toy.onnx", "--repository", "toy.onnx"), "toy.onnx is a file; give a folder"),
        (("static.onnx", "--max-batch", "4"), "cannot be merged: its batch of 1 is fixed; export with --batch dynamic"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    good = toy_manifest(batch="batch", conditions=(LABELS,))
    weights = replace(good.weights, file="w.bin", files=("w.bin",))
    written = {
        "toy.onnx": good,
        "static.onnx": toy_manifest(conditions=(LABELS,)),
        "moved.onnx": replace(good, weights=weights),
        "outside.onnx": replace(good, weights=replace(weights, file="../w.bin")),
    }
    for name, manifest in written.items():
        Path(name).write_bytes(toy_graph(manifest).SerializeToString())
    data = json.loads(good.to_json())
    chunk = {"index": 0, "count": 2, "first": 0, "last": 2, "slices": [0, 0]}
    for name, change in (
        ("chunk.onnx", {"layout": "chunked:2", "chunk": chunk}),
        ("optimised.onnx", {"optimized_for": {"provider": "cpu", "onnxruntime": "1.20"}}),
    ):
        model = toy_graph(good)
        onnx.helper.set_model_props(model, {"samplegraph.manifest": json.dumps(data | change)})
        Path(name).write_bytes(model.SerializeToString())
    lying = toy_graph(toy_manifest(batch=2, conditions=(LABELS,)))
    onnx.helper.set_model_props(lying, {"samplegraph.manifest": good.to_json()})
    Path("lying.onnx").write_bytes(lying.SerializeToString())
    foreign = toy_graph(good)
    del foreign.metadata_props[:]
    Path("foreign.onnx").write_bytes(foreign.SerializeToString())
    Path("empty.onnx").touch()
    Path("toy.sm89.engine").write_bytes(b"x")
    Path("models/there/1").mkdir(parents=True)
    Path("models/there/config.pbtxt").write_text('backend: "python"\n')
    before = sorted(tmp_path.rglob("*"))
    assert main(["triton", "--repository", "models", *arguments], program="samplegraph") == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_says_what_it_wrote(toy: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    file = toy(batch="batch", conditions=(LABELS,))
    arguments = ["triton", str(file), "--repository", str(file.parent / "models")]
    assert main(arguments, program="samplegraph") == 0
    assert capsys.readouterr().out.endswith("models/toy-ddim-3/1  calls merged up to 8 rows\n")
    assert main([*arguments, "--max-batch", "0", "--force"], program="samplegraph") == 0
    assert capsys.readouterr().out.endswith("toy-ddim-3/1  calls not merged\n")
