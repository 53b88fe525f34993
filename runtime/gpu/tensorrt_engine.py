"""An engine file in TensorRT or TensorRT-RTX: deserialised once, compared with its manifest, bound to addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samplegraph.runtime.engine_file import REBUILD
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.gpu.kernel_cache import KernelCache
from samplegraph.runtime.gpu.tensorrt_library import error_log, said
from samplegraph.runtime.kept_files import KeptFiles
from samplegraph.runtime.manifest import Manifest, Tensor
from samplegraph.runtime.notes import Notes

RTX = "tensorrt-rtx"
#: The manifest's dtypes -> TensorRT's.
_TYPES = {"float32": "FLOAT", "float16": "HALF", "int64": "INT64", "int32": "INT32", "bool": "BOOL"}


class TensorRTEngine:
    """An engine, deserialised; each binding is an execution context of its own, as captured graphs need it.

    TensorRT-RTX captures CUDA graphs by itself and chooses the kernels of a shape when it is first seen, not later in
    the background: equal calls give equal samples.

    Args:
        file: the engine, which ``check_engine`` has found whole.
        trt: the library's module.
        stream: what it runs on.
        graphs: whether CUDA graphs are wanted.
        kept: where the kernels that TensorRT-RTX compiles are kept; None to compile them at every start.
        notes: what is to be said of them.

    Raises:
        InputError: the library refuses it, or it is not what the manifest says.
    """

    def __init__(
        self,
        file: Path,
        manifest: Manifest,
        trt: Any,
        stream: int,
        graphs: bool,
        kept: KeptFiles | None = None,
        notes: Notes | None = None,
    ) -> None:
        self._file, self._manifest, self._trt, self._stream, self._graphs = file, manifest, trt, stream, graphs
        assert manifest.engine is not None
        self._name = manifest.engine.builder
        self._log, self._errors = error_log(trt)
        self._runtime = trt.Runtime(self._log)
        if manifest.engine.version_compatible:
            self._runtime.engine_host_code_allowed = True
        self._engine = self._runtime.deserialize_cuda_engine(file.read_bytes())
        if self._engine is None:
            raise InputError(f"{file}: {self._name} cannot load it ({self._said()}); {REBUILD}")
        self._compare()
        self._kernels: KernelCache | None = None
        if kept is not None and self._name == RTX:
            config = self._engine.create_runtime_config()
            self._kernels = KernelCache(config, kept, manifest.engine.sha256, notes or Notes())

    @property
    def providers(self) -> tuple[str, ...]:
        return (self._name,)

    def bind(self, tensors: Mapping[str, DeviceArray]) -> _Context:
        """See ``Program.bind``.

        Raises:
            InputError: there is no memory for it, or it does not take these shapes.
        """
        config = self._runtime_config()
        context = self._engine.create_execution_context(*([] if config is None else [config]))
        if context is None:
            raise InputError(f"{self._file}: the GPU cannot hold it ({self._said()}); give fewer samples per call")
        inputs = {t.name for t in self._manifest.inputs}
        for name, tensor in tensors.items():
            if name in inputs and not context.set_input_shape(name, tensor.shape):
                why = self._said()
                raise InputError(f"{self._file}: does not take {name} of shape {tensor.shape} ({why}); {REBUILD}")
            if not context.set_tensor_address(name, tensor.address):
                raise InputError(f"{self._file}: does not take the address of {name} ({self._said()}); {REBUILD}")
        for name, tensor in tensors.items():
            found = tuple(context.get_tensor_shape(name))
            if found != tensor.shape:
                raise InputError(f"{self._file}: {name} is {found} and not {tensor.shape}; {REBUILD}")
        return _Context(self, context, capturable=self._graphs and config is None)

    def enqueue(self, context: Any) -> None:
        """Begin a run of ``context``.

        Raises:
            InputError: the library refuses.
        """
        del self._errors[:]
        if not context.execute_async_v3(self._stream):
            raise InputError(f"{self._file}: {self._name} failed at running it ({self._said()}); {REBUILD}")

    def keep_kernels(self) -> None:
        """Keep what the first run of a context has compiled."""
        if self._kernels is not None:
            self._kernels.keep()

    def _runtime_config(self) -> Any:
        """How contexts run; None for TensorRT, whose contexts have no such choice."""
        if self._name != RTX:
            return None
        config = self._engine.create_runtime_config()
        strategies = self._trt.CudaGraphStrategy
        config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE if self._graphs else strategies.DISABLED
        eager = self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        if self._kernels is not None and self._kernels.native is not None:
            config.set_runtime_cache(self._kernels.native)
        return config

    def _compare(self) -> None:
        """Names, dtypes and static axes in the engine are the manifest's, and all lie on the GPU."""
        names = {self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)}
        modes = self._trt.TensorIOMode
        for tensors, mode in ((self._manifest.inputs, modes.INPUT), (self._manifest.outputs, modes.OUTPUT)):
            for tensor in tensors:
                if tensor.name not in names or not self._is(tensor, mode):
                    raise InputError(
                        f"{self._file}: its sidecar says {tensor.name} is {tensor.dtype} {list(tensor.shape)}, the "
                        f"engine does not; {REBUILD}"
                    )
                names.discard(tensor.name)
        if names:
            raise InputError(f"{self._file}: its sidecar does not name {', '.join(sorted(names))}; {REBUILD}")

    def _is(self, tensor: Tensor, mode: Any) -> bool:
        engine, name = self._engine, tensor.name
        axes = tuple(engine.get_tensor_shape(name))
        static = [(found, axis) for found, axis in zip(axes, tensor.shape, strict=False) if isinstance(axis, int)]
        return (
            engine.get_tensor_mode(name) == mode
            and engine.get_tensor_dtype(name).name == _TYPES.get(tensor.dtype)
            and engine.get_tensor_location(name) == self._trt.TensorLocation.DEVICE
            and len(axes) == len(tensor.shape)
            and all(found in (-1, axis) for found, axis in static)
        )

    def _said(self) -> str:
        return said(self._errors)


class _Context:
    """An execution context with all addresses set."""

    def __init__(self, engine: TensorRTEngine, context: Any, capturable: bool) -> None:
        self._engine, self._context, self.capturable = engine, context, capturable
        self._fresh = True

    def enqueue(self) -> None:
        self._engine.enqueue(self._context)
        if self._fresh:
            self._engine.keep_kernels()
            self._fresh = False
