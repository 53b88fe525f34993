"""TensorRT's Python interface, as the runtime uses it: "engines" are ONNX graphs, run by ONNX Runtime on fake CUDA."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from enum import Enum
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
from fake_cuda import FakeCuda

from samplegraph.runtime.engine_file import file_sha256
from samplegraph.runtime.manifest import EngineInfo
from samplegraph.runtime.manifest_file import read_manifest, sidecar

MAGIC = b"fake engine"
VERSION = "1.7.1.116"
_DTYPES = {"float": ("FLOAT", "float32"), "float16": ("HALF", "float16"), "int64": ("INT64", "int64")}


class Severity(Enum):
    ERROR = 1
    INTERNAL_ERROR = 0


class ILogger:
    Severity = Severity


def fake_tensorrt(cuda: FakeCuda) -> Any:
    """A module on ``cuda``; its ``calls`` are counted, ``made`` holds the execution contexts."""
    module: Any = ModuleType("tensorrt_rtx")
    module.__spec__ = ModuleSpec("tensorrt_rtx", None)
    module.calls, module.made, module.fails, module.driver = Counter(), [], set(), "580"
    module.__version__, module.ILogger, module.cuda = VERSION, ILogger, cuda
    module.Runtime = lambda log: _Runtime(module, log)
    module.TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")
    module.TensorLocation = SimpleNamespace(DEVICE="device", HOST="host")
    module.CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole", DISABLED="disabled")
    module.DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")
    return module


def write_engine(graph: Path, builder: str = "tensorrt", batch: tuple[int, ...] = (), **changes: Any) -> Path:
    """An "engine" of ``graph`` for sm89, with its sidecar, both beside it."""
    engine = graph.with_suffix(".sm89.engine")
    engine.write_bytes(MAGIC + graph.read_bytes())
    manifest = read_manifest(graph)
    digests = file_sha256(engine), engine.stat().st_size, file_sha256(graph), manifest.weights.sha256
    made = EngineInfo(*digests, builder, VERSION, "sm89", batch)
    sidecar(engine).write_text(replace(manifest, engine=replace(made, **changes)).to_json(), encoding="utf-8")
    return engine


class _Runtime:
    def __init__(self, module: Any, log: Any) -> None:
        self._module, self._log = module, log

    def deserialize_cuda_engine(self, data: bytes) -> Any:
        self._module.calls["deserialize"] += 1
        assert self._module.cuda.current == 0
        if not data.startswith(MAGIC):
            self._log.log(Severity.ERROR, "Serialization assertion failed:\n no magic tag")
            self._log.log(Severity.ERROR, "and more")
            return None
        session = ort.InferenceSession(data[len(MAGIC) :], providers=["CPUExecutionProvider"])
        return _Engine(self._module, self._log, session)


class _Engine:
    def __init__(self, module: Any, log: Any, session: Any) -> None:
        self.module, self.log, self.session = module, log, session
        self.tensors = {
            t.name: (mode, t)
            for mode, found in (("in", session.get_inputs()), ("out", session.get_outputs()))
            for t in found
        }
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        return self.tensors[name][0]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=_DTYPES[self.tensors[name][1].type[7:-1]][0])

    def get_tensor_location(self, name: str) -> str:
        return "device"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(-1 if isinstance(axis, str) else axis for axis in self.tensors[name][1].shape)

    def create_runtime_config(self) -> Any:
        return _Config(self.module)

    def create_execution_context(self, config: Any = None) -> Any:
        if "context" in self.module.fails:
            self.log.log(Severity.ERROR, "out of memory")
            return None
        made = _Context(self, config)
        self.module.made.append(made)
        return made


class _Config:
    """TensorRT-RTX's: how contexts run."""

    def __init__(self, module: Any) -> None:
        self._module, self.kernels = module, None

    def create_runtime_cache(self) -> Any:
        return None if "cache" in self._module.fails else _Kernels(self._module)

    def set_runtime_cache(self, cache: Any) -> bool:
        self.kernels = cache
        return True


class _Kernels:
    """TensorRT-RTX's runtime cache: the shapes that kernels were compiled for."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.known: list[str] = []

    def deserialize(self, data: bytes) -> bool:
        assert self._module.cuda.current == 0
        driver, *known = data.decode().split("|")
        if driver != self._module.driver:
            return False
        self.known = known
        return True

    def serialize(self) -> bytes:
        self._module.calls["serialize"] += 1
        return "|".join([self._module.driver, *self.known]).encode()


class _Context:
    def __init__(self, engine: _Engine, config: Any) -> None:
        self._engine, self.config, self.compiled = engine, config, False
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._engine.module.calls["set_input_shape"] += 1
        self.shapes[name] = tuple(shape)
        return "shape" not in self._engine.module.fails

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._engine.module.calls["set_tensor_address"] += 1
        self.addresses[name] = address
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self.shapes:
            return self.shapes[name]
        sizes = {
            axis: size
            for given, shape in self.shapes.items()
            for axis, size in zip(self._engine.tensors[given][1].shape, shape, strict=True)
        }
        return tuple(sizes.get(axis, axis) for axis in self._engine.tensors[name][1].shape)

    def execute_async_v3(self, stream: int) -> bool:
        module = self._engine.module
        module.calls["execute"] += 1
        if "execute" in module.fails or ("capture" in module.fails and module.cuda.capturing is not None):
            self._engine.log.log(Severity.ERROR, "operation not permitted")
            return False
        assert (stream, module.cuda.current) == (7, 0)
        self._compile()
        module.cuda.begin(self._run)
        return True

    def _compile(self) -> None:
        """TensorRT-RTX compiles the kernels of a shape when it is first seen."""
        kernels = None if self.config is None else self.config.kernels
        shapes = str(sorted(self.shapes.items()))
        if self.compiled or (kernels is not None and shapes in kernels.known):
            return
        self.compiled = True
        self._engine.module.calls["compile"] += 1
        if kernels is not None:
            kernels.known.append(shapes)

    def _memory(self, name: str) -> np.ndarray:
        dtype = _DTYPES[self._engine.tensors[name][1].type[7:-1]][1]
        return self._engine.module.cuda.array(self.addresses[name], self.get_tensor_shape(name), dtype)

    def _run(self) -> None:
        names = {mode: [n for n, (m, _) in self._engine.tensors.items() if m == mode] for mode in ("in", "out")}
        results = self._engine.session.run(names["out"], {name: self._memory(name).copy() for name in names["in"]})
        for name, result in zip(names["out"], results, strict=True):
            self._memory(name)[...] = result
