"""On an NVIDIA GPU: the whole graph and its engine against loops over the network, checked against the CPU per step.

    python benchmarks/gpu.py                              prepare, then measure, where the compiler is installed
    python benchmarks/gpu.py --prepare DIR --light        on any machine: graphs and CPU results, without a GPU
    python benchmarks/gpu.py --graphs DIR --output x.json on the one with the GPU
    python benchmarks/gpu.py --device cpu --models tiny   a rehearsal without a GPU

Runs from a checkout: `pip install --no-deps --no-build-isolation -e .` works offline, and is not needed. Each column
needs what it is made of (torch, diffusers, onnxruntime-gpu, tensorrt, tensorrt-rtx; cuda-python where torch is missing)
and says so where that is absent; `pip install --no-index --find-links WHEELS` brings it to a machine without network.
With --light random weights are left out of DIR and drawn again from their names.
Times are medians by device events; float32 is computed with TF32 off.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib.util
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
if importlib.util.find_spec("samplegraph") is None:  # not installed: the checkout's folders are the packages
    sys.modules["samplegraph"] = ModuleType("samplegraph")
    sys.modules["samplegraph"].__path__ = [str(ROOT)]

from samplegraph.runtime import Engine, InputError, read_manifest  # noqa: E402
from samplegraph.runtime.errors import CancelledError, one_line  # noqa: E402
from samplegraph.runtime.gpu.cuda import Cuda  # noqa: E402
from samplegraph.runtime.gpu.tensorrt_engine import TensorRTEngine  # noqa: E402
from samplegraph.runtime.manifest import METADATA_KEY  # noqa: E402
from samplegraph.runtime.manifest_file import sidecar  # noqa: E402

Array = np.ndarray[Any, Any]
#: Steps and precision of each model; the widths are in ``benchmarks.models``.
MODELS = {"digits": (25, "fp32"), "dit": (25, "fp32"), "unet": (25, "fp32"), "sd15": (4, "fp16"), "tiny": (2, "fp32")}
DEFAULT_MODELS = ("digits", "dit", "unet", "sd15")
SCALE = 2.0
#: Largest error in float32, relative to the largest value, and least cosine in float16; after every step.
TOLERANCE, LEAST_COSINE = 1e-3, 0.999
PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx", "diffusers", "cuda-python", "numpy")


class Absent(Exception):
    """Why a column has no figure."""


# ---------------------------------------------------------------- models, and what is prepared without a GPU


@dataclass(frozen=True)
class Job:
    """A sampler to measure, prepared in a folder: its graphs, and what the CPU makes of one noise."""

    model: str
    steps: int
    precision: str
    folder: Path

    @property
    def stem(self) -> str:
        return f"{self.model}-ddim-{self.steps}" + ("" if self.precision == "fp32" else f"-{self.precision}")

    @property
    def graph(self) -> Path:
        """Noise in, sample out."""
        return self.folder / f"{self.stem}.onnx"

    @property
    def every_step(self) -> Path:
        """The same graph with the sample after each step as outputs."""
        return self.folder / f"{self.stem}.steps.onnx"

    @property
    def network(self) -> Path:
        """One evaluation, for a host loop."""
        return self.folder / f"{self.stem}.network.onnx"

    @property
    def weights(self) -> Path:
        """Random weights as a checkpoint that the graphs read in place."""
        return self.folder / f"{self.model}-{self.precision}.safetensors"

    @property
    def table(self) -> dict[str, Array]:
        """Inputs, the host loop's coefficients, and ``samples`` (steps, B, ...), where they have been computed."""
        with np.load(self.folder / f"{self.stem}.npz") as file:
            return {name: file[name] for name in file.files}

    def feed(self) -> dict[str, Array]:
        """The graph's inputs."""
        return {name.removeprefix("in."): value for name, value in self.table.items() if name.startswith("in.")}


def sampler_of(job: Job, device: str = "cpu", dtype: str | None = None) -> Any:
    """The eager sampler, its weights those of the graphs.

    Raises:
        Absent: torch, or what the network is made of, is missing.
    """
    try:
        import torch

        from benchmarks.models import CASES
        from samplegraph.models import Sampler
        from samplegraph.schedulers import create

        case = CASES[job.model]
        network = case.network()
    except ImportError as error:
        raise Absent(f"{error.name or error} is missing") from error
    if job.model != "digits":
        kind = np.float16 if job.precision == "fp16" else np.float32
        drawn = {name: drawn_weight(name, tuple(v.shape)).astype(kind) for name, v in network.state_dict().items()}
        network.load_state_dict({name: torch.from_numpy(value).float() for name, value in drawn.items()})
    network = network.to(device, getattr(torch, dtype) if dtype else None)
    return Sampler(network, create("ddim", job.steps, clip_sample=False))


def drawn_weight(name: str, shape: tuple[int, ...]) -> Array:
    """A weight that depends on its name and shape alone: uniform, of deviation 0.5 / sqrt(fan-in); norms' near 1."""
    count = int(np.prod(shape))
    raw = np.random.Philox(key=zlib.crc32(name.encode())).random_raw(-(-count // 4))
    unit = (raw.view(np.uint16)[:count].astype(np.float32) - 32767.5) / 32768
    if len(shape) < 2:
        return (0.1 * unit + ("norm" in name and name.endswith("weight"))).reshape(shape).astype(np.float32)
    return (unit * np.float32(np.sqrt(3) * 0.5 / np.sqrt(count / shape[0]))).reshape(shape)


def write_weights(path: Path, tensors: Sequence[tuple[str, list[int]]], dtype: str) -> None:
    """A safetensors file of drawn weights."""
    kind, size = {"F16": (np.float16, 2), "F32": (np.float32, 4)}[dtype]
    header, at = {}, 0
    for name, shape in tensors:
        end = at + size * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors:
            stream.write(drawn_weight(name, tuple(shape)).astype(kind).tobytes())


def left_out(job: Job, tensors: Sequence[tuple[str, list[int]]]) -> None:
    """Replace the files of weights beside the graph by recipes: which rows of which drawn weight lie where.

    In float16 those are weights of which the compiler has cut a part, as one of q, k and v, before it rounded them, and
    those of the timestep's path, which stays in float32. What is no such rows is kept, in ``.rest``.
    """
    import onnx

    kind = np.float16 if job.precision == "fp16" else np.float32
    known = {name: drawn_weight(name, tuple(shape)).astype(kind).reshape(shape[0], -1) for name, shape in tensors}
    graphs = [onnx.load(path, load_external_data=False) for path in (job.graph, job.network)]
    stored = [tensor for model in graphs for tensor in model.graph.initializer if tensor.external_data]
    for file in sorted(job.folder.glob("weights-*.bin")):
        data, parts, rest = file.read_bytes(), {}, b""
        for tensor in stored:
            place = {entry.key: entry.value for entry in tensor.external_data}
            if place["location"] == file.name:
                at, length = int(place.get("offset", 0)), int(place["length"])
                stored_as = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
                found = np.frombuffer(data[at : at + length], stored_as).reshape(tensor.dims[0], -1)
                if at in parts:
                    continue
                rows = rows_of(found, known)
                parts[at] = [at, stored_as.str, *(rows or ("", len(rest), len(rest) + length, False))]
                rest += b"" if rows else data[at : at + length]
        recipe = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "parts": sorted(parts.values())}
        recipe |= {"dtype": np.dtype(kind).str, "tensors": dict(tensors)}
        file.with_name(f"{file.name}.recipe").write_text(json.dumps(recipe))
        if rest:
            file.with_name(f"{file.name}.rest").write_bytes(rest)
        file.unlink()
    job.weights.unlink(missing_ok=True)


def rows_of(part: Array, known: dict[str, Array]) -> tuple[str, int, int, bool] | None:
    """``(name, first, last, transposed)``: ``part``, or its transpose, is those rows of the weight of that name."""
    for transposed, each in ((False, part), (True, part.T)):
        for name, whole in known.items():
            if whole.shape[1] != each.shape[1] or len(whole) < len(each):
                continue
            for first in np.flatnonzero(whole[:, 0] == each[0, 0]).tolist():
                if np.array_equal(whole[first], each[0]) and np.array_equal(whole[first : first + len(each)], each):
                    return name, first, first + len(each), transposed
    return None


def write_parts(path: Path, recipe: dict[str, Any]) -> None:
    """A file of parts of drawn weights."""
    data, rest = np.zeros(recipe["size"], np.uint8), path.with_name(f"{path.name}.rest")
    kept = np.frombuffer(rest.read_bytes() if rest.is_file() else b"", np.uint8)
    for at, stored_as, name, first, last, transposed in recipe["parts"]:
        if not name:
            data[at : at + last - first] = kept[first:last]
            continue
        shape = recipe["tensors"][name]
        rows = drawn_weight(name, tuple(shape)).astype(recipe["dtype"]).reshape(shape[0], -1)[first:last]
        found = np.ascontiguousarray(rows.T if transposed else rows, stored_as).reshape(-1).view(np.uint8)
        data[at : at + len(found)] = found
    path.write_bytes(data.tobytes())


def draw_again(folder: Path) -> None:
    """Weights that ``--light`` left out.

    Raises:
        Absent: they come out otherwise here.
    """
    for recipe in folder.glob("*.recipe"):
        path, data = recipe.with_suffix(""), json.loads(recipe.read_text())
        if not path.exists():
            write_parts(path, data) if "parts" in data else write_weights(path, data["tensors"], data["dtype"])
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != data["sha256"]:
                path.unlink()
                raise Absent(f"{path.name} cannot be drawn again with numpy {np.__version__}; prepare without --light")


def prepare(job: Job, light: bool, reference: bool, targets: Sequence[str]) -> None:
    """Graphs, coefficients and CPU results of one job; engines of TensorRT-RTX for ``targets``."""
    import onnx

    from benchmarks.models import CASES
    from samplegraph.export import Captures, compile
    from samplegraph.export.precision.policy import Converter, precision_of
    from samplegraph.export.storage.emit import to_proto
    from samplegraph.export.storage.placement import place
    from samplegraph.export.storage.raw import Digests
    from samplegraph.schedulers.plans.plan import plan

    job.folder.mkdir(parents=True, exist_ok=True)
    sampler, case, captures, tensors = sampler_of(job), CASES[job.model], Captures(), []
    if job.model != "digits":
        dtype = "F16" if job.precision == "fp16" else "F32"
        tensors = [(name, list(v.shape)) for name, v in sampler.model.state_dict().items()]
        write_weights(job.weights, tensors, dtype)
        with job.weights.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        recipe = {"dtype": dtype, "sha256": digest, "tensors": tensors}
        job.weights.with_name(f"{job.weights.name}.recipe").write_text(json.dumps(recipe))
    precision = None if job.precision == "fp32" else job.precision
    weights = "embed" if job.model == "digits" else "external"
    program = compile(
        sampler, (1, *case.shape), case.examples(), weights=weights, captures=captures, precision=precision
    )
    program.save(job.graph)
    manifest = program.manifest
    model = onnx.load(job.graph, load_external_data=False)
    sample = manifest.outputs[0]
    each = [replace(sample, name=f"step.{step}") for step in range(job.steps)]
    for name, output in zip(manifest.tables.visited, each, strict=True):
        model.graph.node.append(onnx.helper.make_node("Identity", [name], [output.name]))
        kind = model.graph.output[0].type.tensor_type.elem_type
        model.graph.output.append(onnx.helper.make_tensor_value_info(output.name, kind, sample.shape))
    told = replace(read_manifest(job.graph), outputs=(sample, *each))
    onnx.helper.set_model_props(model, {METADATA_KEY: told.to_json()})
    onnx.save(model, job.every_step)
    one = Converter(precision_of(sampler.denoiser, precision, []))(
        captures.get(sampler.denoiser, program.signature, program.signature.rows)
    ).clone()
    held = list(one.graph.initializers.values())
    places = place(held, job.folder, Digests(), search=True).places if weights == "external" else {}
    job.network.write_bytes(to_proto(one, "", held, places).SerializeToString(deterministic=True))
    rows = plan(sampler.scheduler, sampler.denoiser.prediction_type)
    x, output = rows.basis.index("x"), rows.basis.index("output_0")
    rng = np.random.default_rng(0)
    table = {
        "first": np.float32(rows.init_noise_sigma),
        "keep": np.array([step.x[x] for step in rows.steps], np.float32),
        "turn": np.array([step.x[output] for step in rows.steps], np.float32),
        "timesteps": np.array([sampler.denoiser.timesteps[s.evaluations[0].point] for s in rows.steps], np.float32),
        "in.noise": rng.standard_normal((1, *case.shape)).astype(np.float32),
        "in.guidance_scale": np.float32(SCALE),
        **{f"in.{name}": np.asarray(value) for name, value in case.conditions.items()},
        **{f"one.{name}": rows_of_one(sampler, case, name) for name in case.examples()},
    }
    np.savez(job.folder / f"{job.stem}.npz", **table)
    if reference:
        np.savez(job.folder / f"{job.stem}.npz", **table, samples=cpu_samples(job, sampler))
    if targets:
        from samplegraph.export.engine import build_engine

        for graph in (job.graph, job.every_step):
            for each in engine_plans(graph, "tensorrt-rtx", targets):
                build_engine(each)
    if light and job.model != "digits":
        left_out(job, tensors)


def rows_of_one(sampler: Any, case: Any, name: str) -> Array:
    """A condition for both rows of one evaluation: the unconditional one first."""
    value, declared = case.conditions[name], sampler.spec.condition(name)
    null = declared.null if declared else None
    other = np.full_like(value, null) if null is not None else case.conditions[f"negative_{name}"]
    return np.concatenate([other, value])


def cpu_samples(job: Job, sampler: Any = None) -> Array:
    """The eager sampler's samples on the CPU, in float32: (steps, B, ...)."""
    import torch

    sampler = sampler or sampler_of(job)
    feed = {name: torch.from_numpy(np.asarray(value)) for name, value in job.feed().items()}
    with torch.inference_mode():
        return np.stack([sample.numpy() for sample in sampler.samples(feed.pop("noise"), None, **feed)])


# ---------------------------------------------------------------- devices: memory, a stream, events, CUDA graphs


@dataclass
class Buffer:
    """Device memory that an inference engine reads or writes in place."""

    address: int
    shape: tuple[int, ...]
    dtype: Any
    owner: Any


class Host:
    """The CPU: arrays, and the wall clock."""

    kind, stream, has_graphs = "cpu", 0, False

    def put(self, array: Array) -> Buffer:
        array = np.array(array, order="C")
        return Buffer(array.ctypes.data, array.shape, array.dtype, array)

    def fetch(self, buffer: Buffer) -> Array:
        return np.array(buffer.owner)

    def synchronize(self) -> None:
        pass

    def time(self, call: Callable[[], object]) -> float:
        """Milliseconds of one call."""
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3

    def graph(self, call: Callable[[], object]) -> Callable[[], object]:
        raise Absent("needs a GPU")


class TorchCuda:
    """An NVIDIA GPU through torch; engines run in ``stream``."""

    kind, has_graphs = "cuda", True

    def __init__(self) -> None:
        import torch

        if not torch.cuda.is_available():
            raise Absent("torch sees no GPU")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        self.torch, self._stream = torch, torch.cuda.Stream()
        self.stream = int(self._stream.cuda_stream)

    def put(self, array: Array) -> Buffer:
        tensor = self.torch.from_numpy(np.array(array, order="C")).cuda()
        self.torch.cuda.synchronize()
        return Buffer(tensor.data_ptr(), tuple(tensor.shape), np.asarray(array).dtype, tensor)

    def fetch(self, buffer: Buffer) -> Array:
        self.synchronize()
        found: Array = buffer.owner.cpu().numpy()
        return found

    def synchronize(self) -> None:
        self.torch.cuda.synchronize()

    def time(self, call: Callable[[], object]) -> float:
        """Milliseconds of one call by events in the stream, to which the call's own stream is joined."""
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        with self.torch.cuda.stream(self._stream):
            start.record()
            call()
            end.record()
        end.synchronize()
        return float(start.elapsed_time(end))

    def graph(self, call: Callable[[], object]) -> Callable[[], object]:
        """``call`` as a CUDA graph; it has to have been called once."""
        made = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(made, stream=self._stream):
            call()
        replay: Callable[[], object] = made.replay
        return replay


class CudaPython:
    """An NVIDIA GPU through cuda-python, as the runtime has it, where torch is missing."""

    kind, has_graphs = "cuda", True

    def __init__(self) -> None:
        try:
            self.cuda = Cuda()
        except InputError as error:
            raise Absent(one_line(error)) from error
        self.events, self.stream = import_module("cuda.bindings.runtime"), self.cuda.stream

    def put(self, array: Array) -> Buffer:
        array = np.array(array, order="C")
        pinned, memory = self.cuda.pinned(array.nbytes), self.cuda.empty(array.shape, array.dtype)
        pinned.array(array.shape, array.dtype)[...] = array
        self.cuda.upload(memory, pinned.array(array.shape, array.dtype))
        self.cuda.wait()
        return Buffer(memory.address, array.shape, array.dtype, memory)

    def fetch(self, buffer: Buffer) -> Array:
        return self.cuda.download(buffer.owner)

    def synchronize(self) -> None:
        self.cuda.wait()

    def time(self, call: Callable[[], object]) -> float:
        """Milliseconds of one call by events in the stream."""
        start, end = self._ask("cudaEventCreate"), self._ask("cudaEventCreate")
        self._ask("cudaEventRecord", start, self.stream)
        call()
        self._ask("cudaEventRecord", end, self.stream)
        self._ask("cudaEventSynchronize", end)
        elapsed = float(self._ask("cudaEventElapsedTime", start, end))
        self._ask("cudaEventDestroy", start)
        self._ask("cudaEventDestroy", end)
        return elapsed

    def graph(self, call: Callable[[], object]) -> Callable[[], object]:
        """``call`` as a CUDA graph; it has to have been called once."""
        return partial(self.cuda.launch, self.cuda.capture(call))

    def _ask(self, name: str, *arguments: Any) -> Any:
        status, *results = getattr(self.events, name)(*arguments)
        if int(status):
            raise Absent(f"{name} fails ({status})")
        return results[0] if results else None


def device_of(kind: str) -> Any:
    """The device: a GPU where there is one, unless ``cpu`` is asked for.

    Raises:
        Absent: ``cuda`` is asked for and there is none.
    """
    if kind != "cpu":
        reasons = []
        for made in (TorchCuda, CudaPython):
            try:
                return made()
            except (Absent, ImportError) as error:
                reasons.append(str(error))
        if kind == "cuda":
            raise Absent(f"no GPU: {'; '.join(reasons)}")
    return Host()


# ---------------------------------------------------------------- routes: each gives a call and its sample


@dataclass
class Route:
    """One way to a sample: ``call`` starts it, ``sample`` fetches what it made; ``facts`` go into the record."""

    call: Callable[[], object]
    sample: Callable[[], Array]
    facts: dict[str, Any] = field(default_factory=dict)


def torch_loop(job: Job, device: Any, options: Any, mode: str | None = None) -> Route:
    """The eager sampler, its network compiled where there is a ``mode``."""
    dtype = "float16" if job.precision == "fp16" and device.kind == "cuda" else None
    sampler = sampler_of(job, device.kind, dtype)
    import torch

    if mode == "reduce-overhead" and not device.has_graphs:
        raise Absent("needs a GPU")
    if mode is not None:
        backend = {"mode": mode} if options.compile_backend == "inductor" else {"backend": options.compile_backend}
        sampler.model.compile(**backend)
    feed = {name: torch.from_numpy(np.asarray(value)).to(device.kind) for name, value in job.feed().items()}
    noise, out = feed.pop("noise"), {}

    def call() -> None:
        with torch.inference_mode():
            out["sample"] = sampler(noise, None, **feed)

    return Route(call, lambda: np.asarray(out["sample"].float().cpu().numpy()))


def ort_session(path: Path, device: Any, graph: bool) -> tuple[Any, Any]:
    """A session on the device, and the options of its runs. It runs in the device's stream, or as a CUDA graph.

    Raises:
        Absent: ONNX Runtime or its CUDA provider is missing, or refuses.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise Absent(f"onnxruntime is missing ({one_line(error, 80)})") from error
    options, run = ort.SessionOptions(), ort.RunOptions()
    options.log_severity_level = run.log_severity_level = 4
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.kind == "cuda":
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        own = {"enable_cuda_graph": "1"} if graph else {"user_compute_stream": str(device.stream)}
        providers = [("CUDAExecutionProvider", {"device_id": "0", "use_tf32": "0", **own})]
        if not graph:
            run.add_run_config_entry("disable_synchronize_execution_providers", "1")
    elif graph:
        raise Absent("needs a GPU")
    try:
        session = ort.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
    except Exception as error:  # its exceptions share no base class
        raise Absent(one_line(error, 160)) from error
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in session.get_providers():
        raise Absent(f"{wanted} does not start here; onnxruntime-gpu, its CUDA libraries or a driver are missing")
    return session, run


def bound(
    path: Path, feed: dict[str, Array], device: Any, graph: bool = False
) -> tuple[Callable[[], object], dict[str, Buffer], dict[str, Buffer]]:
    """A session whose inputs and outputs stay on the device: a run, its input and its output buffers by name."""
    session, run = ort_session(path, device, graph)
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(float16)": np.float16}
    binding = session.io_binding()
    inputs = {i.name: device.put(np.asarray(feed[i.name]).astype(kinds[i.type])) for i in session.get_inputs()}
    outputs = {o.name: device.put(np.zeros(o.shape, kinds[o.type])) for o in session.get_outputs()}
    for bind, buffers in ((binding.bind_input, inputs), (binding.bind_output, outputs)):
        for name, b in buffers.items():
            bind(name, device.kind, 0, np.dtype(b.dtype).type, b.shape, b.address)

    def call(keep: Any = (inputs, outputs)) -> None:  # a binding holds addresses, and not what lies there
        session.run_with_iobinding(binding, run)

    return call, inputs, outputs


def ort_whole(job: Job, device: Any, options: Any, graph: bool = False) -> Route:
    """ONNX Runtime over the whole graph."""
    start = time.perf_counter()
    call, _, outputs = bound(job.graph, job.feed(), device, graph)
    facts = {"load_s": round(time.perf_counter() - start, 2)}
    if not graph:
        facts["each_step"] = step_errors(job, ort_steps(job, device))
    return Route(call, lambda: device.fetch(outputs["sample"]), facts)


def ort_steps(job: Job, device: Any) -> list[Array]:
    """The sample after each step."""
    call, _, outputs = bound(job.every_step, job.feed(), device)
    call()
    return [device.fetch(outputs[f"step.{step}"]) for step in range(job.steps)]


def ort_host(job: Job, device: Any, options: Any) -> Route:
    """What a careful host does: one session over the network, guidance as a batch of two, DDIM beside it, all on the
    device and in one stream.
    """
    try:
        import torch
    except ImportError as error:
        raise Absent("its steps need torch") from error
    table = job.table
    noise = table["in.noise"]
    rows = {name.removeprefix("one."): value for name, value in table.items() if name.startswith("one.")}
    rows |= {"sample": np.concatenate([noise, noise]), "timestep": np.zeros(2, np.float32)}
    run, inputs, outputs = bound(job.network, rows, device)
    (output,) = outputs.values()
    names = list(inputs)
    seen, told = (_tensor(torch, inputs[name]) for name in names[:2])
    made, x0 = _tensor(torch, output), torch.from_numpy(noise).to(device.kind)
    steps = list(zip(table["timesteps"].tolist(), table["keep"].tolist(), table["turn"].tolist(), strict=True))
    first, scale, out = float(table["first"]), float(table["in.guidance_scale"]), {}

    def call() -> None:
        x = x0 * first
        for timestep, keep, turn in steps:
            seen.copy_(x.expand_as(seen))
            told.fill_(timestep)
            run()
            uncond, cond = made[:1].float(), made[1:].float()
            x = keep * x + turn * (uncond + scale * (cond - uncond))
        out["x"] = x

    return Route(call, lambda: np.asarray(out["x"].cpu().numpy()))


def _tensor(torch: Any, buffer: Buffer) -> Any:
    """A torch view of a buffer."""
    return torch.from_numpy(buffer.owner) if isinstance(buffer.owner, np.ndarray) else buffer.owner


def runtime_call(job: Job, device: Any, options: Any, engine: str | None = None) -> Route:
    """``samplegraph.runtime.Engine``, noise and sample in host memory: what a program that calls it sees."""
    path = job.graph
    if engine is not None:
        path = next(iter(job.folder.glob(f"{job.stem}.{target_here()}.{engine}.engine")), Path())
        if not path.name:
            raise Absent("no engine was built")
    try:
        loaded = Engine(path) if engine or device.kind == "cpu" else Engine(path, providers=["cuda"])
    except InputError as error:
        raise Absent(one_line(error, 160)) from error
    feed, out = job.feed(), {}

    def call() -> None:
        out["sample"] = loaded(**feed)

    return Route(call, lambda: np.asarray(out["sample"]), {"clock": "host"})


def target_here() -> str:
    """``sm90``.

    Raises:
        Absent: no GPU.
    """
    from samplegraph.export.engine.device import compute_capability

    here = compute_capability()
    if here is None:
        raise Absent("needs a GPU")
    return f"sm{here[0]}{here[1]}"


def engine_plans(graph: Path, builder: str, targets: Sequence[str]) -> list[Any]:
    """Engines called ``<stem>.<target>.<builder>.engine``; for a GPU that TensorRT-RTX has no name for, ``CURRENT``.

    Raises:
        Absent: the builder is missing, or cannot build here.
    """
    from samplegraph.export.engine import BUILDERS, BuildSettings, plan_engines
    from samplegraph.export.errors import ExportError

    kind = BUILDERS[builder]
    try:
        kind.load()
        known = [target for target in targets if not kind.targets or target in kind.targets]
        plans = plan_engines(graph, kind, kind.choose_targets(known) if known else ["current"], BuildSettings())
    except (ExportError, InputError) as error:
        raise Absent(one_line(error, 160)) from error
    stem, named = graph.name.removesuffix(".onnx"), targets[0] if not known else None
    return [replace(p, output=p.output.with_name(f"{stem}.{named or p.target}.{builder}.engine")) for p in plans]


def built(graph: Path, builder: str, limit: float) -> tuple[Path, float | None]:
    """The engine of a graph for this GPU, built unless it is there and whole; seconds if it was built.

    Raises:
        Absent: it cannot be built, or takes too long.
    """
    from samplegraph.export.engine import build_engine
    from samplegraph.export.errors import ExportError
    from samplegraph.runtime.engine_file import check_engine

    (plan,) = engine_plans(graph, builder, [target_here()])
    try:
        check_engine(plan.output, builder, str(plan.kind.load().__version__), graph=graph)
        return plan.output, None
    except InputError:
        pass
    start = time.perf_counter()
    try:
        build_engine(plan, lambda *_: time.perf_counter() - start < limit)
    except CancelledError:
        raise Absent(f"its build was given up after {limit:.0f} s") from None
    except ExportError as error:
        raise Absent(one_line(error, 200)) from error
    seconds, made = round(time.perf_counter() - start, 2), read_manifest(plan.output)
    assert made.engine is not None
    described = replace(made, engine=replace(made.engine, target=target_here()))  # in place of "current"
    sidecar(plan.output).write_text(described.to_json(), encoding="utf-8")
    return plan.output, seconds


def engine_run(
    path: Path, builder: str, feed: dict[str, Array], device: Any, graph: bool
) -> tuple[Callable[[], object], dict[str, Buffer]]:
    """A call of an engine in the device's stream, all tensors bound once, and its output buffers by name.

    Raises:
        Absent: the engine does not load or run.
    """
    from samplegraph.export.engine import BUILDERS

    manifest = read_manifest(path)
    inputs = {t.name: device.put(np.asarray(feed[t.name]).astype(t.dtype)) for t in manifest.inputs}
    outputs = {t.name: device.put(np.zeros([int(n) for n in t.shape], t.dtype)) for t in manifest.outputs}
    try:
        program = TensorRTEngine(path, manifest, BUILDERS[builder].load(), device.stream, graph)
        context = program.bind({**inputs, **outputs})
        context.enqueue()
        device.synchronize()
        launch = device.graph(context.enqueue) if context.capturable else context.enqueue
    except (InputError, RuntimeError) as error:
        raise Absent(one_line(error, 200)) from error

    def call(keep: Any = (program, context, inputs)) -> None:
        launch()

    return call, outputs


def engine(job: Job, device: Any, options: Any, builder: str, graph: bool = False) -> Route:
    """The engine of the whole graph."""
    if device.kind == "cpu":
        raise Absent("needs a GPU")
    path, seconds = built(job.graph, builder, options.build_limit)
    call, outputs = engine_run(path, builder, job.feed(), device, graph)
    facts: dict[str, Any] = {"engine_bytes": path.stat().st_size, "build_s": seconds}
    if not graph:
        try:
            every, _ = built(job.every_step, builder, options.build_limit)
            _, found = engine_run(every, builder, job.feed(), device, False)
            facts["each_step"] = step_errors(job, [device.fetch(found[f"step.{k}"]) for k in range(job.steps)])
        except Absent as reason:
            facts["each_step"] = {"absent": str(reason)}
    return Route(call, lambda: device.fetch(outputs["sample"]), facts)


ROUTES: dict[str, tuple[str, Callable[..., Route]]] = {
    "torch": ("torch eager loop", torch_loop),
    "compiled": ("torch.compile loop", partial(torch_loop, mode="default")),
    "compiled-graph": ("torch.compile loop, CUDA graphs", partial(torch_loop, mode="reduce-overhead")),
    "ort-host": ("ONNX Runtime host loop", ort_host),
    "ort": ("ONNX Runtime whole graph", ort_whole),
    "ort-graph": ("ONNX Runtime whole graph, CUDA graph", partial(ort_whole, graph=True)),
    "trt": ("TensorRT engine", partial(engine, builder="tensorrt")),
    "trt-graph": ("TensorRT engine, CUDA graph", partial(engine, builder="tensorrt", graph=True)),
    "rtx": ("TensorRT-RTX engine", partial(engine, builder="tensorrt-rtx")),
    "rtx-graph": ("TensorRT-RTX engine, CUDA graph", partial(engine, builder="tensorrt-rtx", graph=True)),
    "runtime": ("samplegraph.runtime, graph", runtime_call),
    "runtime-trt": ("samplegraph.runtime, TensorRT", partial(runtime_call, engine="tensorrt")),
    "runtime-rtx": ("samplegraph.runtime, TensorRT-RTX", partial(runtime_call, engine="tensorrt-rtx")),
}


# ---------------------------------------------------------------- measuring


def step_errors(job: Job, found: Sequence[Array]) -> dict[str, Any]:
    """Each step against the CPU."""
    return compared(job, found, job.table["samples"])


def compared(job: Job, found: Sequence[Array], expected: Sequence[Array]) -> dict[str, Any]:
    """Relative errors and cosines, and whether all are within the bar of the precision."""
    errors, cosines = [], []
    for one, other in zip(found, expected, strict=True):
        a, b = np.asarray(one, np.float64).ravel(), np.asarray(other, np.float64).ravel()
        errors.append(float(np.abs(a - b).max() / np.abs(b).max()))
        cosines.append(float(a @ b / np.sqrt((a @ a) * (b @ b))))
    worst, least = max(errors), min(cosines)  # NaN compares false
    passed = all(c >= LEAST_COSINE for c in cosines) if job.precision == "fp16" else all(e <= TOLERANCE for e in errors)
    return {"error": worst, "cosine": least, "passed": passed, "count": len(errors)}


def measure(job: Job, name: str, device: Any, options: Any) -> dict[str, Any]:
    """The record of one route: medians and quartiles in milliseconds, or why there are none."""
    record: dict[str, Any] = {"model": job.model, "steps": job.steps, "precision": job.precision, "route": name}
    try:
        route = ROUTES[name][1](job, device, options)
        clock = Host() if route.facts.get("clock") == "host" else device
        for _ in range(max(options.warmup, 1)):
            clock.time(route.call)
        times = [clock.time(route.call) for _ in range(options.repeats)]
        record["final"] = compared(job, [route.sample()], job.table["samples"][-1:])
        low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
        record |= {"ms": float(middle), "quartiles_ms": [float(low), float(high)], "repeats": len(times), **route.facts}
    except Absent as reason:
        record["absent"] = str(reason)
    except Exception as error:  # one column that fails leaves the others
        record["absent"] = f"{type(error).__name__}: {one_line(error, 160)}"
        record["failed"] = True
    gc.collect()
    return record


def passed(record: dict[str, Any]) -> bool:
    """Whether the record is no failure: it agrees with the CPU, or says why it is absent."""
    checks = [record[key] for key in ("final", "each_step") if isinstance(record.get(key), dict)]
    return not record.get("failed") and all(check.get("passed", True) for check in checks)


def run(jobs: Sequence[Job], routes: Sequence[str], device: Any, options: Any) -> Iterator[dict[str, Any]]:
    """All records; the CPU's results are computed where they are not in the folder."""
    for job in jobs:
        try:
            draw_again(job.folder)
            if "samples" not in job.table:
                np.savez(job.folder / f"{job.stem}.npz", **job.table, samples=cpu_samples(job))
        except (Absent, OSError) as reason:
            head = {"model": job.model, "steps": job.steps, "precision": job.precision}
            yield from ({**head, "route": name, "absent": str(reason)} for name in routes)
            continue
        for name in routes:
            yield measure(job, name, device, options)


def about(device: Any) -> dict[str, Any]:
    """GPU and versions."""
    found: dict[str, Any] = {"device": device.kind, "numpy": np.__version__, "python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    if isinstance(device, TorchCuda):
        found |= {"gpu": device.torch.cuda.get_device_name(), "cuda": device.torch.version.cuda}
    if device.kind == "cuda":
        found["target"] = target_here()
    return found


def table(records: Sequence[dict[str, Any]]) -> str:
    """One row per model and route as Markdown: milliseconds, against the first route, the worst step, or why not."""
    lines = ["| | ms | against torch | worst step | |", "|---|---|---|---|---|"]
    for record in records:
        base = next((r.get("ms") for r in records if r["model"] == record["model"] and r["route"] == "torch"), None)
        title = f"{record['model']} {record['precision']}, {record['steps']} steps: {ROUTES[record['route']][0]}"
        if "ms" not in record:
            lines.append(f"| {title} | – | | | {record['absent']} |")
            continue
        check = {**record["final"], **record.get("each_step", {})}
        worst = f"{check['error']:.1e}" if record["precision"] == "fp32" else f"cosine {check['cosine']:.6f}"
        ratio = f"{base / record['ms']:.2f}x" if base else ""
        lines.append(f"| {title} | {record['ms']:.3f} | {ratio} | {worst} | {'' if passed(record) else 'TOO FAR'} |")
    return "\n".join(lines) + "\n"


def show(text: str) -> None:
    """The table, by rich on a terminal that has it."""
    try:
        from rich.console import Console
        from rich.markdown import Markdown
    except ImportError:
        print(text, end="")
        return
    console = Console()
    console.print(Markdown(text)) if console.is_terminal else print(text, end="")


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 where something disagrees with the CPU or fails, 2 and one line for bad input."""
    options = _parser().parse_args(arguments)
    place = tempfile.TemporaryDirectory() if not (options.prepare or options.graphs) else None
    folder = options.prepare or options.graphs or Path(place.name)  # type: ignore[union-attr]
    jobs = []
    for model in options.models:
        steps, precision = MODELS[model]
        jobs.append(Job(model, options.steps or steps, options.precision or precision, folder.absolute()))
    try:
        for job in jobs if options.graphs else ():
            if not job.graph.is_file():
                raise Absent(f"{job.graph} is missing; write it with --prepare {folder} on a machine with the compiler")
        if not options.graphs:
            for job in jobs:
                print(f"preparing {job.stem}", file=sys.stderr)
                prepare(job, options.light, not options.no_reference, options.targets)
        if options.prepare:
            return 0
        device = device_of(options.device)
    except (Absent, ImportError, ValueError) as error:
        print(f"benchmarks/gpu.py: {one_line(error)}", file=sys.stderr)
        return 2
    records, machine = [], about(device)
    for record in run(jobs, options.routes, device, options):
        records.append(record)
        print(json.dumps(record), file=sys.stderr, flush=True)
        if options.output:
            options.output.write_text(json.dumps({"machine": machine, "records": records}, indent=1) + "\n")
    show(table(records))
    return 0 if all(map(passed, records)) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--prepare", type=Path, metavar="DIR", help="write graphs and CPU results there, and measure nothing")
    add("--graphs", type=Path, metavar="DIR", help="measure what --prepare wrote there")
    add("--light", action="store_true", help="leave random weights out; they are drawn again from their names")
    add("--no-reference", action="store_true", help="leave the CPU's results to be computed where it is measured")
    add("--targets", type=_some(), default=(), help="TensorRT-RTX engines to build while preparing, such as sm89,sm120")
    add("--models", type=_some(MODELS), default=DEFAULT_MODELS, help=f"of {', '.join(MODELS)}")
    add("--routes", type=_some(ROUTES), default=tuple(ROUTES), help=f"of {', '.join(ROUTES)}")
    add("--steps", type=int, help="of every model, in place of 25 (sd15: 4)")
    add("--precision", choices=("fp32", "fp16"), help="of every model, in place of fp32 (sd15: fp16)")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="auto takes a GPU where there is one")
    add("--repeats", type=int, default=50, help="timed calls")
    add("--warmup", type=int, default=5, help="calls before them")
    add("--build-limit", type=float, default=300.0, help="seconds after which an engine build is given up")
    add("--compile-backend", default="inductor", help="of torch.compile")
    add("--output", type=Path, help="write the records there as JSON")
    return parser


def _some(allowed: Sequence[str] | dict[str, Any] | None = None) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(part.strip() for part in text.split(",") if part.strip())
        for each in chosen:
            if allowed is not None and each not in allowed:
                raise argparse.ArgumentTypeError(f"{each!r} is not one of {', '.join(allowed)}")
        return chosen

    return parse


if __name__ == "__main__":
    sys.exit(main())
