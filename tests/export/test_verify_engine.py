"""Verification of engines: their files without a GPU, and their samples on stand-ins for CUDA and TensorRT."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fake_cuda import FakeCuda
from fake_tensorrt import MAGIC, fake_tensorrt, write_engine
from networks import TinyUNet, seeded
from stage_modules import decoder, text_denoiser, text_encoder

from samplegraph.export import Captures, ExportError, VerificationError, compile
from samplegraph.export.cli import main
from samplegraph.export.engine import EnginePlan, apart
from samplegraph.export.verification.engine import rows_for, verify_engine
from samplegraph.export.verification.rebuild import rebuild
from samplegraph.models import Sampler
from samplegraph.runtime import read_manifest
from samplegraph.runtime.chunks import chunk_files
from samplegraph.runtime.engine_file import file_sha256
from samplegraph.runtime.manifest_file import sidecar
from samplegraph.schedulers import create


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A GPU of sm89 with both libraries."""
    found = FakeCuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", found)
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, fake_tensorrt(found))
    return found


@pytest.fixture(scope="module")
def network() -> TinyUNet:
    return seeded(TinyUNet())


LAYOUTS = ("unrolled", "chunked:3", "repeated:3", "step")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory, network: TinyUNet) -> dict[str, Path]:
    """Four steps of a solver with history, of any batch, weights inside."""
    folder, found, captures = tmp_path_factory.mktemp("graphs"), {}, Captures()
    for layout in LAYOUTS:
        sampler = Sampler(network, create("dpm_multistep", steps=4))
        program = compile(sampler, batch="dynamic", layout=layout, weights="embed", captures=captures)
        found[layout] = Path(program.save(folder / f"{program.manifest.name}.onnx"))
    return found


def engines(graph: Path, batch: tuple[int, ...] = (1, 1, 4)) -> Path:
    """The "engines" of a graph and of its set."""
    chunk = read_manifest(graph).chunk
    first, *_ = [write_engine(file, batch=batch) for file in ([graph] if chunk is None else chunk_files(graph, chunk))]
    return first


def build(plan: EnginePlan) -> None:
    """What a builder makes of ``plan``, for the stand-in."""
    model, manifest = onnx.load(plan.graph), read_manifest(plan.graph)
    for name in plan.visited:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    plan.output.write_bytes(MAGIC + model.SerializeToString())
    own = read_manifest(plan.graph.with_name(plan.output.name)).engine
    assert own is not None
    like = manifest.sample or manifest.outputs[0]
    outputs = (*manifest.outputs, *(replace(like, name=name) for name in plan.visited))
    size, digest = plan.output.stat().st_size, file_sha256(plan.output)
    described = replace(manifest, outputs=outputs, engine=replace(own, sha256=digest, bytes=size))
    sidecar(plan.output).write_text(described.to_json(), encoding="utf-8")


def against_eager(engine: Path, network: TinyUNet, build: Any = build) -> tuple[Any, str]:
    manifest = read_manifest(engine)
    assert manifest.engine is not None
    sampler, sig = rebuild(manifest, network, rows=rows_for(manifest.engine))
    return verify_engine(engine, sampler, sig, build)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_step_of_every_layout(layout: str, graphs: dict[str, Path], cuda: FakeCuda, network: TinyUNet) -> None:
    built: list[EnginePlan] = []
    result, why = against_eager(engines(graphs[layout]), network, lambda plan: (built.append(plan), build(plan)))
    assert (len(result.errors), result.rows, why) == (4, 2, "")
    assert max(result.errors) < 1e-5
    assert len(built) == {"unrolled": 1, "chunked:3": 2, "repeated:3": 1, "step": 0}[layout]


@pytest.mark.parametrize("layout", ["unrolled", "chunked:2"])
def test_modules_around_the_sampler(layout: str, cuda: FakeCuda, tmp_path: Path) -> None:
    around = [text_encoder()], decoder()
    sampler = Sampler(text_denoiser(), create("ddim", 3), 2.0, pre=around[0], post=around[1])
    program = compile(sampler, batch="dynamic", layout=layout, weights="embed")
    engine = engines(Path(program.save(tmp_path / f"{program.manifest.name}.onnx")))
    again, sig = rebuild(read_manifest(engine), sampler.model, *around, rows=2)
    result, why = verify_engine(engine, again, sig, build)
    assert (len(result.errors), result.timesteps[-1], why) == (4, None, "")
    assert max(result.errors) < 1e-5


@pytest.mark.parametrize(("batch", "rows"), [((1, 1, 1), 1), ((1, 4, 8), 2), ((3, 3, 4), 3)])
def test_as_many_rows_as_the_engine_takes(
    batch: tuple[int, ...], rows: int, graphs: dict[str, Path], cuda: FakeCuda, network: TinyUNet
) -> None:
    result, _ = against_eager(engines(graphs["unrolled"], batch), network)
    assert result.rows == rows


def changed_after(graph: Path, step: int, folder: Path) -> Path:
    """A copy of the graph that scales the sample after a step by 1.01."""
    model, name = onnx.load(graph), read_manifest(graph).tables.visited[step]
    nodes = list(model.graph.node)
    at = next(k for k, node in enumerate(nodes) if name in node.output)
    nodes[at].output[list(nodes[at].output).index(name)] = "before"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1.01), "factor"))
    nodes.insert(at + 1, onnx.helper.make_node("Mul", ["before", "factor"], [name]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, folder / graph.name)
    return folder / graph.name


@pytest.mark.parametrize("step", [1, 3])
def test_the_first_step_astray_is_named(
    step: int, graphs: dict[str, Path], cuda: FakeCuda, network: TinyUNet, tmp_path: Path
) -> None:
    engine = engines(changed_after(graphs["unrolled"], step, tmp_path))
    with pytest.raises(VerificationError, match=rf"differs .* step {step + 1} of 4 \(t=.*\) is the first beyond 1e-03"):
        against_eager(engine, network)


def test_the_end_is_that_of_the_engine_itself(
    graphs: dict[str, Path], cuda: FakeCuda, network: TinyUNet, tmp_path: Path
) -> None:
    """What is built for the steps in between may be right where the engine is wrong."""
    wrong = engines(changed_after(graphs["unrolled"], 1, tmp_path))
    with pytest.raises(VerificationError, match=r"step 4 of 4 \(t=.*\) is the first beyond 1e-03"):
        against_eager(wrong, network, lambda plan: build(replace(plan, graph=graphs["unrolled"])))


def test_where_no_second_engine_can_be_built_the_end_is_compared(
    graphs: dict[str, Path], cuda: FakeCuda, network: TinyUNet, tmp_path: Path
) -> None:
    def fails(plan: EnginePlan) -> None:
        raise ExportError("tensorrt cannot be imported")

    engine = engines(graphs["unrolled"])
    result, why = against_eager(engine, network, fails)
    assert (len(result.errors), why) == (1, "tensorrt cannot be imported")
    alone = tmp_path / engine.name
    for suffix in ("", ".json"):
        Path(f"{alone}{suffix}").write_bytes(Path(f"{engine}{suffix}").read_bytes())
    result, why = against_eager(alone, network)
    assert (len(result.errors), why) == (1, f"{graphs['unrolled'].name} is not beside it")


@pytest.fixture
def external(tmp_path: Path, network: TinyUNet, captures: Captures) -> Path:
    """The engine of a graph whose weights lie beside it."""
    program = compile(Sampler(network, create("ddim", steps=2)), weights="external", captures=captures)
    graph = Path(program.save(tmp_path / "x.onnx"))
    name = program.manifest.weights.file or read_manifest(graph).weights.file
    assert name is not None
    return write_engine(graph, weight_files={name: file_sha256(tmp_path / name)})


def samplegraph(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments], program="samplegraph")
    out, err = capsys.readouterr()
    return code, out, err


def test_without_its_gpu_the_files_are_compared_and_that_is_said(
    external: Path, cuda: FakeCuda, capsys: pytest.CaptureFixture[str]
) -> None:
    (weights,) = external.parent.glob("weights-*.bin")
    cuda.devices = 0
    code, out, _ = samplegraph(capsys, "verify", external)
    assert code == 0
    built = f"{external}: whole, and built from x.onnx, {weights.name} as they are now; by tensorrt 1.7.1.116 for sm89"
    assert out.startswith(f"{built}; not run against eager: no NVIDIA GPU can be used here")
    assert out.count("\n") == 1
    (external.parent / "x.onnx").rename(external.parent / "y.onnx")
    cuda.devices, cuda.capability = 1, (9, 0)
    _, out, _ = samplegraph(capsys, "verify", external)
    assert f"whole, and built from {weights.name} as it is now; x.onnx not there to compare; by tensorrt" in out
    assert "not run against eager: was built for sm89 and this GPU is sm90; build it with --target sm90" in out


def test_weights_may_lie_in_a_folder_below(external: Path, cuda: FakeCuda, capsys: pytest.CaptureFixture[str]) -> None:
    (weights,) = external.parent.glob("weights-*.bin")
    (external.parent / "below").mkdir()
    below = weights.rename(external.parent / "below" / "x.safetensors")
    engine = write_engine(external.parent / "x.onnx", weight_files={"below/x.safetensors": file_sha256(below)})
    cuda.devices = 0
    code, out, _ = samplegraph(capsys, "verify", engine)
    assert code == 0
    assert "built from x.onnx, x.safetensors as they are now" in out


@pytest.mark.parametrize("which", ["weights", "graph", "engine"])
def test_files_that_have_changed_are_refused(
    which: str, external: Path, cuda: FakeCuda, capsys: pytest.CaptureFixture[str]
) -> None:
    cuda.devices = 0
    (weights,) = external.parent.glob("weights-*.bin")
    file = {"weights": weights, "graph": external.parent / "x.onnx", "engine": external}[which]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    code, out, err = samplegraph(capsys, "verify", external)
    assert (code, out, err.count("\n")) == (2, "", 1)
    bytes_ = "its bytes are not those that its sidecar names"
    assert (bytes_ if which == "engine" else f"was not built from {file} as it is now; build it again") in err


@pytest.mark.usefixtures("quick_export", "cuda")
def test_the_command_shows_every_step(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(apart, "build_apart", lambda plan, listener: build(plan))
    tiny = ["--model", "cli_models:tiny"]
    assert samplegraph(capsys, "export", "--scheduler", "ddim", "--steps", "3", *tiny)[0] == 0
    engine = write_engine(Path("build/tiny-ddim-3.onnx"))
    code, out, err = samplegraph(capsys, "verify", engine, *tiny)
    assert (code, err) == (0, "")
    assert "as it is now; by tensorrt 1.7.1.116 for sm89\n" in out
    assert "max error" in out
    assert "engine against eager" in out
    assert sum(line.strip().startswith(("│ 1 ", "│ 2 ", "│ 3 ")) for line in out.splitlines()) == 3
