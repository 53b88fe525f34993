"""Files, weights, providers: what cannot be run is refused in one line when the engine is made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import METADATA_KEY, Manifest, Tensor
from samplegraph.runtime.manifest_file import read_manifest

Toy = Callable[..., Path]


def refused(make: Callable[[], object], *words: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def with_manifest(path: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """Replace the manifest inside ``path``, not the graph."""
    model = onnx.load(path, load_external_data=False)
    manifest = change(Manifest.from_json(model.metadata_props[0].value))
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    path.write_bytes(model.SerializeToString())
    return path


def with_weights(path: Path, location: str, in_manifest: str | None) -> Path:
    """Move the bias into an external file, which is not written."""
    model = onnx.load(path)
    bias = next(each for each in model.graph.initializer if each.name == "bias")
    bias.ClearField("raw_data")
    bias.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        bias.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return with_manifest(path, lambda m: replace(m, weights=replace(m.weights, file=in_manifest)))


def test_every_truncation_is_refused(toy: Toy) -> None:
    path = toy()
    whole = path.read_bytes()
    for cut in range(0, len(whole), 37):
        path.write_bytes(whole[:cut])
        refused(lambda: Engine(path), str(path), "truncated or not an ONNX file")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello world, this is text", "not an ONNX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not an ONNX file"),
        (b"PK\x03\x04" + bytes(100), "not an ONNX file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    refused(lambda: Engine(path), str(path), word)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    refused(lambda: Engine(tmp_path / "no.onnx"), "no.onnx: no such file")
    refused(lambda: Engine(tmp_path), "cannot be read")


def test_an_onnx_file_of_someone_else(toy: Toy) -> None:
    path = toy()
    model = onnx.load(path)
    del model.metadata_props[:]
    path.write_bytes(model.SerializeToString())
    refused(lambda: Engine(path), "holds no samplegraph manifest")


def test_the_sidecar_stands_in_where_the_metadata_was_removed(toy: Toy) -> None:
    path = toy()
    manifest = read_manifest(path)
    model = onnx.load(path)
    del model.metadata_props[:]
    path.write_bytes(model.SerializeToString())
    Path(f"{path}.json").write_text(manifest.to_json())
    assert Engine(path).manifest == manifest


def test_the_metadata_wins_over_the_sidecar(toy: Toy) -> None:
    path = toy()
    manifest = read_manifest(path)
    Path(f"{path}.json").write_text(replace(manifest, name="other").to_json())
    assert Engine(path).manifest.name == "toy-ddim-3"
    assert read_manifest(f"{path}.json").name == "other"


def test_the_manifest_of_an_engine_is_its_sidecar(toy: Toy, tmp_path: Path) -> None:
    manifest = read_manifest(toy())
    engine = tmp_path / "x.sm89.engine"
    refused(lambda: read_manifest(engine), "x.sm89.engine: no such file")
    engine.write_bytes(b"engine")
    refused(lambda: read_manifest(engine), "x.sm89.engine.json: no such file")
    (tmp_path / "x.sm89.engine.json").write_text(manifest.to_json())
    assert read_manifest(engine) == manifest
    refused(lambda: Engine(engine), "describes a graph and no engine")
    (tmp_path / "x.sm89.engine.json").write_bytes(b"\xff\xfe")
    refused(lambda: read_manifest(engine), "not UTF-8")
    (tmp_path / "x.sm89.engine.json").write_text("{")
    refused(lambda: read_manifest(engine), "not JSON")


def test_a_layout_of_the_future(toy: Toy) -> None:
    path = with_manifest(toy(), lambda m: replace(m, layout="woven:5"))
    refused(lambda: Engine(path), "layout 'woven:5'", "unrolled")


def test_an_input_called_like_an_argument(toy: Toy) -> None:
    path = toy(conditions=(Tensor("samples", "int64", ("B",), "condition"),))
    refused(lambda: Engine(path), "'samples'")


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"slices": 1}, "step_noise is tensor(float)"),
        ({"batch": 2}, "noise is tensor(float) [2, 1, 4, 4]"),
        ({"conditions": ()}, "class_labels, guidance_scale"),
        ({"shape": (4, 4)}, "noise is"),
    ],
)
def test_a_manifest_of_another_graph(toy: Toy, other: dict[str, object], word: str) -> None:
    manifest = read_manifest(toy("other.onnx", **other))
    path = with_manifest(toy(), lambda _: manifest)
    refused(lambda: Engine(path), word, "export the file again")


def test_a_manifest_of_another_output(toy: Toy) -> None:
    path = with_manifest(toy(), lambda m: replace(m, outputs=(replace(m.outputs[0], name="image"),)))
    refused(lambda: Engine(path), "image is tensor(float)", "in the graph it is not there")


def test_bfloat16_at_the_edge(toy: Toy) -> None:
    noise = Tensor("noise", "bfloat16", (1, 1, 4, 4), "noise")
    path = with_manifest(toy(), lambda m: replace(m, inputs=(noise, *m.inputs[1:])))
    refused(lambda: Engine(path), "noise is bfloat16")


def test_a_graph_that_onnx_runtime_refuses(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    path = toy()
    model = onnx.load(path)
    model.graph.node[0].op_type = "Nope"
    path.write_bytes(model.SerializeToString())
    refused(lambda: Engine(path), "ONNX Runtime cannot load it", "Nope")
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_fails_at_run_time(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    path = toy()
    model = onnx.load(path)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(5, np.float32), "table"))
    model.graph.node.append(helper.make_node("Gather", ["table", "class_labels"], ["looked_up"]))
    model.graph.node.append(helper.make_node("Add", ["before", "looked_up"], ["sample"]))
    model.graph.node[-3].output[0] = "before"
    path.write_bytes(model.SerializeToString())
    engine = Engine(path)
    engine(seed=0, class_labels=4)
    refused(lambda: engine(seed=0, class_labels=5), "ONNX Runtime failed at running it")
    assert capfd.readouterr() == ("", "")


def test_external_weights(toy: Toy, tmp_path: Path) -> None:
    path = with_weights(toy(), "w.bin", "w.bin")
    weights = tmp_path / "w.bin"
    refused(lambda: Engine(path), "weights file 'w.bin' is missing")
    weights.write_bytes(b"\0\0")
    refused(lambda: Engine(path), "ONNX Runtime cannot load it")
    weights.write_bytes(np.float32(1).tobytes())
    zero = np.zeros((1, 1, 4, 4))
    assert np.all(Engine(path)(noise=zero, class_labels=0, guidance_scale=0) == 1)
    (tmp_path / "deep").mkdir()
    moved = path.rename(tmp_path / "deep" / path.name)
    refused(lambda: Engine(moved), "weights file 'w.bin' is missing")


@pytest.mark.parametrize("in_manifest", [True, False])
@pytest.mark.parametrize("kind", ["parent", "absolute", "symlink"])
def test_weights_outside_the_folder(toy: Toy, tmp_path: Path, kind: str, in_manifest: bool) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(bytes(4))
    (tmp_path / "graphs").mkdir()
    path = toy("graphs/x.onnx")
    location = {"parent": "../outside.bin", "absolute": str(outside), "symlink": "w.bin"}[kind]
    if kind == "symlink":
        (tmp_path / "graphs" / "w.bin").symlink_to(outside)
    with_weights(path, location, location if in_manifest else None)
    refused(lambda: Engine(path), "lie outside its folder" if in_manifest else "ONNX Runtime cannot load it")


@pytest.mark.parametrize(
    ("providers", "words"),
    [
        ("cuda", ["providers='cuda' is not available", "cpu", "samplegraph[gpu]"]),
        (["cpu", "CUDAExecutionProvider"], ["'CUDAExecutionProvider' is not available"]),
        (["cpuu"], ["did you mean 'cpu'"]),
        ([], ["providers=[] is empty"]),
        ([("cpu", 3)], ["give a name or (name, options)"]),
        ([3], ["give a name or (name, options)"]),
    ],
)
def test_providers(toy: Toy, providers: object, words: list[str]) -> None:
    refused(lambda: Engine(toy(), providers=providers), *words)  # type: ignore[arg-type]


def test_a_provider_that_does_not_start(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda self: [])
    refused(lambda: Engine(toy()), "providers='cpu' is installed but does not start here")


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads(toy: Toy, threads: object) -> None:
    refused(lambda: Engine(toy(), threads=threads), f"threads={threads!r}", "at least 1")  # type: ignore[arg-type]


def test_onnx_runtime_is_not_installed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused(lambda: Engine(toy()), "onnxruntime", "samplegraph[cpu]")
