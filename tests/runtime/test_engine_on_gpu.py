"""Engine files through the runtime's own code, on stand-ins for CUDA and TensorRT that compute with ONNX Runtime."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_cuda import CAPTURE_FAILED, OUT_OF_MEMORY, FakeCuda
from fake_providers import FakeProviders
from fake_tensorrt import fake_tensorrt, write_engine
from networks import TinyUNet, seeded

from samplegraph.export import Captures, compile
from samplegraph.models import Sampler
from samplegraph.runtime import CancelledError, Engine, InputError, read_manifest
from samplegraph.runtime.chunks import chunk_files
from samplegraph.runtime.engine_file import file_sha256
from samplegraph.runtime.gpu import dlpack
from samplegraph.runtime.manifest_file import sidecar
from samplegraph.schedulers import create

Toy = Callable[..., Path]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A GPU of sm89."""
    found = FakeCuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", found)
    return found


@pytest.fixture
def trt(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both libraries."""
    module = fake_tensorrt(cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", module)
    return module


def close(a: Any, b: Any) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("builder", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize(
    ("batch", "built", "rows"), [(3, (), [3, 3]), ("batch", (1, 1, 4), [4, 1]), ("batch", (2, 2, 3), [3, 2])]
)
def test_an_engine_gives_the_samples_of_its_graph(
    toy: Toy, trt: Any, builder: str, batch: int | str, built: tuple[int, ...], rows: list[int]
) -> None:
    graph = toy(batch=batch, slices=2)
    engine = Engine(write_engine(graph, builder, built))
    given = {"seed": [1, 2, 3, 4, 5], "class_labels": [3, 1, 4, 1, 5]}
    drawn = engine(**given)
    assert close(drawn, Engine(graph)(**given))
    assert engine.providers == (builder,)
    assert [m.shapes["noise"][0] for m in trt.made] == list(dict.fromkeys(rows))
    assert engine.notes == ()


def test_tensors_are_bound_once_and_one_graph_is_replayed(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    graph = toy(slices=1)
    engine, plain = Engine(write_engine(graph)), Engine(graph)
    engine(seed=0, class_labels=0)
    bound, reserved, pinned = dict(trt.calls), cuda.calls["cudaMalloc"], cuda.calls["cudaHostAlloc"]
    for seed in range(1, 6):
        assert close(engine(seed=seed, class_labels=seed), plain(seed=seed, class_labels=seed))
    assert trt.calls == {**bound, "execute": 2}  # once as it is, once captured
    assert bound["set_tensor_address"] == 5
    assert (cuda.calls["cudaMalloc"], cuda.calls["cudaHostAlloc"]) == (reserved, pinned)
    assert cuda.calls["cudaStreamBeginCapture"] == cuda.calls["cudaGraphInstantiate"] == 1
    assert cuda.calls["cudaGraphLaunch"] == 5


def test_every_batch_has_its_own_graph_and_the_oldest_goes(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    graph = toy(batch="batch")
    engine, plain = Engine(write_engine(graph, batch=(1, 1, 8))), Engine(graph)
    for samples in [1, 2, 3, 1, 2, 3, 1, 4, 5, 1, 2, 3]:
        seeds = list(range(samples))
        assert close(engine(seed=seeds, class_labels=1), plain(seed=seeds, class_labels=1))
    assert [m.shapes["noise"][0] for m in trt.made] == [1, 2, 3, 4, 5, 2, 3]


@pytest.mark.parametrize(
    "failing", ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate", "enqueue"]
)
def test_where_capturing_fails_every_call_is_enqueued(toy: Toy, cuda: FakeCuda, trt: Any, failing: str) -> None:
    graph = toy()
    engine, plain = Engine(write_engine(graph)), Engine(graph)
    if failing == "enqueue":
        trt.fails.add("capture")
    else:
        cuda.fails[failing] = CAPTURE_FAILED
    for seed in range(4):
        assert close(engine(seed=seed, class_labels=2), plain(seed=seed, class_labels=2))
    (note,) = engine.notes
    assert note.startswith("no CUDA graph: ")
    assert "\n" not in note
    assert cuda.calls["cudaStreamBeginCapture"] == 1
    assert cuda.calls["cudaGraphLaunch"] == 0


def test_graphs_can_be_left_out_and_rtx_makes_its_own(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    graph = toy()
    rtx = write_engine(graph, "tensorrt-rtx")
    for wanted, told in ((True, "whole"), (False, "disabled")):
        engine = Engine(rtx, cuda_graph=wanted)
        for _ in range(3):
            engine(seed=0, class_labels=0)
        config = trt.made[-1].config
        assert (config.cuda_graph_strategy, config.dynamic_shapes_kernel_specialization_strategy) == (told, "eager")
    plain = Engine(write_engine(graph), cuda_graph=False)
    for _ in range(3):
        plain(seed=0, class_labels=0)
    assert trt.made[-1].config is None
    assert cuda.calls["cudaStreamBeginCapture"] == 0


def test_all_memory_is_given_back(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    engine = Engine(write_engine(toy(batch="batch"), batch=(1, 1, 4)))
    kept = [engine(seed=[0, 1], class_labels=0, device_output=True) for _ in range(3)]
    del engine
    gc.collect()
    assert list(cuda.blocks) == [each.address for each in kept]
    kept.clear()
    gc.collect()
    assert cuda.blocks == {}


# Layouts: chunks and single evaluations keep what they hand on in the GPU's memory.


LAYOUTS = ("chunked:2", "repeated:3", "step")


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four steps of a solver with history, in chunks and in single evaluations; weights inside."""
    folder, found, captures = tmp_path_factory.mktemp("layouts"), {}, Captures()
    sampler = Sampler(seeded(TinyUNet()), create("dpm_multistep", steps=4))
    for layout in LAYOUTS:
        other = Sampler(sampler.model, create("dpm_multistep", steps=3))
        more = [] if layout == "chunked:2" else [other]
        program = compile(sampler, batch="dynamic", layout=layout, more=more, weights="embed", captures=captures)
        found[layout] = Path(program.save(folder / f"{program.manifest.name}.onnx"))
    return found


def engines(graph: Path) -> Path:
    """The engines of ``graph`` and of its whole set, as far as it is one."""
    chunk = read_manifest(graph).chunk
    files = [graph] if chunk is None else chunk_files(graph, chunk)
    first, *_ = [write_engine(file, batch=(1, 1, 4)) for file in files]
    return first


GIVEN = {"seed": [4, 5], "class_labels": [1, 3], "guidance_scale": 1.5}


@pytest.mark.parametrize("by", ["tensorrt", "cuda"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_handed_on_stays_on_the_gpu(
    layouts: dict[str, Path], cuda: FakeCuda, trt: Any, monkeypatch: pytest.MonkeyPatch, layout: str, by: str
) -> None:
    graph = layouts[layout]
    plain = Engine(graph)
    if by == "cuda":
        FakeProviders(monkeypatch)
    engine = Engine(engines(graph)) if by == "tensorrt" else Engine(graph, providers=by)
    assert close(engine(**GIVEN), plain(**GIVEN))
    assert cuda.calls["out"] == 1
    assert cuda.calls["on"] >= {"chunked:2": 2, "repeated:3": 2, "step": 6}[layout]
    previews: list[Any] = []
    expected: list[Any] = []
    for _ in range(2):
        again = engine(**GIVEN, preview=lambda step, x0: previews.append(x0))
    plain(**GIVEN, preview=lambda step, x0: expected.append(x0))
    assert close(again, plain(**GIVEN))
    assert len(previews) == 2 * len(expected) > 0
    assert all(close(a, b) for a, b in zip(previews, 2 * expected, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_other_step_counts(layouts: dict[str, Path], trt: Any, layout: str) -> None:
    graph = layouts[layout]
    assert close(Engine(engines(graph))(**GIVEN, steps=3), Engine(graph)(**GIVEN, steps=3))


def test_a_chunk_of_a_set_has_to_be_there(layouts: dict[str, Path], trt: Any, tmp_path: Path) -> None:
    engine = engines(layouts["chunked:2"])
    moved = tmp_path / engine.name
    for suffix in ("", ".json"):
        Path(f"{moved}{suffix}").write_bytes(Path(f"{engine}{suffix}").read_bytes())
    with pytest.raises(InputError, match=r"chunk-01\.sm89\.engine: is missing; put all 2 chunks into one folder"):
        Engine(moved)


# Calls.


def test_threads_take_turns(layouts: dict[str, Path], cuda: FakeCuda, trt: Any) -> None:
    engine, plain = Engine(engines(layouts["chunked:2"])), Engine(layouts["chunked:2"])
    expected = [plain(seed=[i], class_labels=i) for i in range(3)]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(10):
            if not close(engine(seed=[index], class_labels=index), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_calls_within_calls_are_refused_and_cancelled_ones_leave_nothing(
    layouts: dict[str, Path], cuda: FakeCuda, trt: Any
) -> None:
    engine, plain = Engine(engines(layouts["chunked:2"])), Engine(layouts["chunked:2"])
    with pytest.raises(InputError, match="called from its own progress or preview"):
        engine(**GIVEN, progress=lambda done, total: engine(**GIVEN))
    with pytest.raises(CancelledError):
        engine(**GIVEN, progress=lambda done, total: bool(cuda.begin(list)))
    assert cuda.queue == []
    assert close(engine(**GIVEN), plain(**GIVEN))


def test_another_current_gpu_is_left_as_it_was(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    cuda.current = 3
    seen: list[int] = []
    Engine(write_engine(toy()))(seed=0, class_labels=0, progress=lambda *_: seen.append(cuda.current))
    assert seen == [0]
    assert cuda.current == 3


# Tensors that lie on the GPU.


class OnGpu:
    """Another library's tensor on a GPU."""

    def __init__(self, cuda: FakeCuda, array: np.ndarray, device: tuple[int, int] = (2, 0), address: int = 0) -> None:
        _, self.address = cuda.cudaMalloc(array.nbytes)
        cuda.array(self.address, array.shape, array.dtype)[...] = array
        self.shape, self.dtype, self.device, self.streams = array.shape, array.dtype, device, []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, *, stream: int) -> object:
        self.streams.append(stream)
        return dlpack.capsule(self.address, self.shape, self.dtype, self.device, self)


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_inputs_on_the_gpu_do_not_pass_through_the_host(toy: Toy, cuda: FakeCuda, trt: Any, samples: int) -> None:
    graph = toy(batch=2, slices=3)
    values = np.random.default_rng(0)
    noise = values.normal(size=(samples, 1, 4, 4)).astype(np.float32)
    step_noise = values.normal(size=(3, samples, 1, 4, 4)).astype(np.float32)
    labels = np.arange(samples, dtype=np.int64)
    engine = Engine(write_engine(graph))
    there = [OnGpu(cuda, array) for array in (noise, step_noise, labels, np.full((), 2, dtype=np.float32))]
    given = dict(zip(("noise", "step_noise", "class_labels", "guidance_scale"), there, strict=True))
    before = cuda.calls["in"]
    drawn = engine(**given)
    assert cuda.calls["in"] == before
    assert all(t.streams == [7] for t in there)
    assert close(drawn, Engine(graph)(noise=noise, step_noise=step_noise, class_labels=labels))


def test_one_row_on_the_gpu_does_for_all(layouts: dict[str, Path], cuda: FakeCuda, trt: Any) -> None:
    graph = layouts["step"]
    label = OnGpu(cuda, np.array([2], dtype=np.int64))
    noise = np.random.default_rng(0).normal(size=(3, 2, 8, 8)).astype(np.float32)
    drawn = Engine(engines(graph))(noise=OnGpu(cuda, noise), class_labels=label)
    assert close(drawn, Engine(graph)(noise=noise, class_labels=[2, 2, 2]))


@pytest.mark.parametrize(
    ("array", "device", "words"),
    [
        (np.zeros(1, np.int32), (2, 0), "class_labels is int32 on the GPU; give it as int64"),
        (np.zeros((1, 3), np.int64), (2, 0), r"class_labels has shape \(1, 3\)"),
        (np.zeros(1, np.int64), (2, 1), "class_labels lies on GPU 1 and the engine on GPU 0"),
    ],
)
def test_what_does_not_fit_on_the_gpu_is_refused(
    toy: Toy, cuda: FakeCuda, trt: Any, array: np.ndarray, device: tuple[int, int], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Engine(write_engine(toy()))(seed=0, class_labels=OnGpu(cuda, array, device))


def test_a_capsule_keeps_its_memory_until_it_is_read(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    class Copying(OnGpu):
        """Gives a copy that only the capsule keeps."""

        def __dlpack__(self, *, stream: int) -> object:
            copy = OnGpu(cuda, cuda.array(self.address, self.shape, self.dtype))
            weakref.finalize(copy, cuda.cudaFree, copy.address)
            return dlpack.capsule(copy.address, copy.shape, copy.dtype, copy.device, copy)

    graph, noise = toy(), np.random.default_rng(0).normal(size=(1, 1, 4, 4)).astype(np.float32)
    engine, blocks = Engine(write_engine(graph)), len(cuda.blocks)
    given = Copying(cuda, noise)
    assert close(engine(noise=given, class_labels=0), Engine(graph)(noise=noise, class_labels=0))
    reserved = 4 + 2 + 1 + 1  # the lane's tensors, its pinned memory, that for the sample, and what was given
    assert len(cuda.blocks) == blocks + reserved


def test_what_cannot_be_read_through_dlpack_is_refused(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    class Odd(OnGpu):
        def __dlpack__(self, *, stream: int) -> object:
            return torch.zeros(1, 1, 4, 4).transpose(2, 3).__dlpack__()

    class Broken(OnGpu):
        def __dlpack__(self, *, stream: int) -> object:
            raise BufferError("requires\ngrad")

    engine, noise = Engine(write_engine(toy())), np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(InputError, match="noise is not packed in the GPU's memory"):
        engine(noise=Odd(cuda, noise), class_labels=0)
    with pytest.raises(InputError, match=r"noise cannot be read through DLPack \(requires grad\)"):
        engine(noise=Broken(cuda, noise), class_labels=0)


def test_the_host_reads_no_gpu(toy: Toy, cuda: FakeCuda) -> None:
    with pytest.raises(InputError, match="class_labels lies on a GPU and this engine runs on the host"):
        Engine(toy())(seed=0, class_labels=OnGpu(cuda, np.zeros(1, np.int64)))
    with pytest.raises(InputError, match=r"device_output=True: .* runs on the host; leave it out"):
        Engine(toy())(seed=0, class_labels=0, device_output=True)


def test_samples_stay_on_the_gpu(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    graph = toy(batch=2)
    engine, plain = Engine(write_engine(graph)), Engine(graph)
    seeds = [0, 1, 2]
    kept = engine(seed=seeds, class_labels=1, device_output=True)
    assert cuda.queue == []  # no stream has to wait for it
    engine(seed=[7, 8, 9], class_labels=1, device_output=True)
    assert cuda.calls["out"] == 0
    assert kept.__dlpack_device__() == (2, 0)
    found = dlpack.describe(kept.__dlpack__())
    expected = plain(seed=seeds, class_labels=1)
    assert (found.shape, found.dtype, found.contiguous) == (expected.shape, "float32", True)
    assert close(cuda.array(found.address, found.shape, np.float32), expected)
    assert close(kept.numpy(), expected)
    assert close(engine(noise=kept, class_labels=1), plain(noise=expected, class_labels=1))
    with pytest.raises(BufferError):
        kept.__dlpack__(dl_device=(1, 0))


# What cannot run is refused with a sentence.


@pytest.fixture
def made(toy: Toy) -> Path:
    return write_engine(toy(), "tensorrt-rtx")


def refused(path: Path, words: str, **options: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Engine(path, **options)
    assert "\n" not in str(caught.value)


def test_a_machine_that_lacks_something(made: Path, cuda: FakeCuda, trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda.capability = (12, 0)
    refused(made, "was built for sm89 and this GPU is sm120; build it with --target sm120")
    trt.__version__ = "1.8.0"
    refused(made, r"was built by tensorrt-rtx 1\.7\.1\.116 and 1\.8\.0 is installed")
    cuda.devices = 0
    trt.__version__ = "1.7.1.116"
    refused(made, r"no NVIDIA GPU can be used here \(error 100\); check its driver")
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    refused(made, r'cuda-python cannot be imported .*pip install "samplegraph\[tensorrt-rtx\]"')
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    refused(made, r'needs tensorrt-rtx, which cannot be imported .*; pip install "samplegraph\[tensorrt-rtx\]"$')
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    other = write_engine(made.with_suffix("").with_suffix(".onnx"), "tensorrt")
    refused(other, r'"samplegraph\[tensorrt\]" and NVIDIA\'s TensorRT libraries, which come from the vendor')


def test_another_graph_or_other_weights(made: Path, trt: Any) -> None:
    graph = made.with_suffix("").with_suffix(".onnx")
    text = graph.read_bytes()
    graph.write_bytes(text + b"\0")
    refused(made, r"was not built from .*onnx as it is now; build it again")
    graph.unlink()
    assert Engine(made).manifest.engine is not None
    graph.write_bytes(text)
    refused(write_engine(graph, weights_sha256="1" * 64), "was built from other weights than its sidecar describes")


def rewrite(engine: Path, **info: Any) -> None:
    """Change what the sidecar says of the engine."""
    manifest = read_manifest(engine)
    assert manifest.engine is not None
    changed = replace(manifest, engine=replace(manifest.engine, **info))
    sidecar(engine).write_text(changed.to_json(), encoding="utf-8")


def test_an_engine_that_is_none(made: Path, trt: Any) -> None:
    data = b"x" + made.read_bytes()[1:]
    made.write_bytes(data)
    refused(made, "its bytes are not those that its sidecar names")
    rewrite(made, sha256=file_sha256(made))
    refused(made, r"tensorrt-rtx cannot load it \(Serialization assertion failed: no magic tag\); build it again")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"slices": 1}, r"its sidecar does not name step_noise"),
        ({"batch": 2}, r"its sidecar says noise is float32 \[1, 1, 4, 4\], the engine does not"),
        ({"conditions": ()}, r"its sidecar says class_labels is int64 \[1\], the engine does not"),
    ],
)
def test_an_engine_other_than_its_sidecar_says(toy: Toy, trt: Any, other: dict[str, Any], words: str) -> None:
    engine, foreign = write_engine(toy()), write_engine(toy("other.onnx", **other))
    info = read_manifest(foreign).engine
    assert info is not None
    foreign.rename(engine)
    rewrite(engine, bytes=info.bytes, sha256=info.sha256)
    refused(engine, words)


def test_options_of_graphs_are_not_for_engines(made: Path, trt: Any) -> None:
    refused(made, r"providers=\['cpu'\] is for \.onnx files", providers=["cpu"])
    refused(made, r"threads=2 is for \.onnx files", threads=2)
    assert Engine(made, providers="auto").providers == ("tensorrt-rtx",)


def test_failures_while_running(toy: Toy, cuda: FakeCuda, trt: Any) -> None:
    engine = Engine(write_engine(toy()))
    cuda.fails["cudaMalloc"] = OUT_OF_MEMORY
    with pytest.raises(InputError, match=r"the GPU cannot reserve \d+ bytes \(error 2\); give fewer samples per call"):
        engine(seed=0, class_labels=0)
    cuda.fails.clear()
    for failing, words in (
        ("context", r"the GPU cannot hold it \(out of memory\)"),
        ("shape", r"does not take noise of shape \(1, 1, 4, 4\)"),
        ("execute", r"tensorrt failed at running it \(operation not permitted\)"),
    ):
        trt.fails = {failing}
        with pytest.raises(InputError, match=words):
            engine(seed=0, class_labels=0)
    trt.fails = set()
    assert engine(seed=0, class_labels=0).shape == (1, 1, 4, 4)
