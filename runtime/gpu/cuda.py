"""CUDA through cuda-python: memory, one stream and the graphs of a GPU."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.errors import InputError, one_line
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.gpu.memory import Graph, Memory, Pinned

_OUT_OF_MEMORY = 2


class Cuda:
    """A GPU and one stream of it; what is given to it is done in that order, for one caller at a time.

    Args:
        ordinal: which of those that are visible.

    Raises:
        InputError: cuda-python is not installed, there is no driver or no GPU; any call that the GPU refuses.
    """

    def __init__(self, ordinal: int = 0) -> None:
        self._api, self.ordinal = _cuda_python(), ordinal
        code, count = self._api.cudaGetDeviceCount()
        if int(code) or not count > ordinal:
            why = self._reason(code) if int(code) else f"GPU {ordinal} of {count}"
            raise InputError(f"no NVIDIA GPU can be used here ({why}); check its driver, or run the .onnx on the CPU")
        self._lock, self._running = threading.RLock(), False
        self._scratch: Pinned | None = None
        #: How often the stream was waited for.
        self.waits = 0
        with self._selected():
            apart = self._api.cudaStreamNonBlocking
            self._stream = self._call("make a stream", self._api.cudaStreamCreateWithFlags, apart)
        weakref.finalize(self, self._api.cudaStreamDestroy, self._stream).atexit = False

    @property
    def stream(self) -> int:
        """The stream's address."""
        return int(self._stream)

    @property
    def compute_capability(self) -> tuple[int, int]:
        kinds, asked = self._api.cudaDeviceAttr, self._api.cudaDeviceGetAttribute
        both = (kinds.cudaDevAttrComputeCapabilityMajor, kinds.cudaDevAttrComputeCapabilityMinor)
        major, minor = (int(self._call("be asked", asked, kind, self.ordinal)) for kind in both)
        return major, minor

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread has its turn; then take it. All that was begun in it is done at its end.

        Raises:
            InputError: this thread has it, and calls from within a callback.
        """
        with self._lock:
            if self._running:
                raise InputError("the engine is called from its own progress or preview; wait until its call is over")
            self._running = True
            try:
                with self._selected():
                    try:
                        yield
                    except BaseException:
                        with suppress(InputError):
                            self.wait()
                        raise
                    self.wait()
            finally:
                self._running = False

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        """New memory of the GPU, freed with the last array in it."""
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        address = int(self._call(f"reserve {size} bytes", self._api.cudaMalloc, max(1, size)))
        return DeviceArray(self, address, shape, kind, Memory(address, self._api.cudaFree))

    def pinned(self, size: int) -> Pinned:
        """Page-locked memory of the host."""
        address = int(self._call(f"lock {size} bytes", self._api.cudaHostAlloc, max(1, size), 0))
        return Pinned(address, size, self._api.cudaFreeHost)

    def upload(self, target: DeviceArray, source: npt.NDArray[Any]) -> None:
        """Begin to copy an array of pinned memory; it may not change before the stream was waited for."""
        self._copy(target.address, source.ctypes.data, target.nbytes, self._api.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def download(self, source: DeviceArray) -> npt.NDArray[Any]:
        """A copy in the host's memory, when all that was begun is done."""
        with self._lock, self._selected():
            if self._scratch is None or self._scratch.size < source.nbytes:
                self._scratch = self.pinned(source.nbytes)
            kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
            self._copy(self._scratch.address, source.address, source.nbytes, kind)
            self.wait()
            return self._scratch.array(source.shape, source.dtype).copy()

    def move(self, target: int, source: int, size: int) -> None:
        """Begin to copy from one address of the GPU to another."""
        self._copy(target, source, size, self._api.cudaMemcpyKind.cudaMemcpyDeviceToDevice)

    def wait(self) -> None:
        """Until all that was begun is done."""
        self._call("finish its work", self._api.cudaStreamSynchronize, self._stream)
        self.waits += 1

    def capture(self, enqueue: Callable[[], None]) -> Graph:
        """What ``enqueue`` would begin, as a graph; nothing is begun.

        Raises:
            InputError: it contains what no graph can.
        """
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("begin a capture", self._api.cudaStreamBeginCapture, self._stream, mode)
        try:
            enqueue()
        except InputError:
            self._api.cudaStreamEndCapture(self._stream)
            self._api.cudaGetLastError()
            raise
        graph = self._call("capture it", self._api.cudaStreamEndCapture, self._stream)
        try:
            made = self._call("make a graph of it", self._api.cudaGraphInstantiate, graph, 0)
            return Graph(made, self._api.cudaGraphExecDestroy)
        finally:
            self._api.cudaGraphDestroy(graph)

    def launch(self, graph: Graph) -> None:
        """Begin all that the graph holds."""
        self._call("launch a graph", self._api.cudaGraphLaunch, graph.handle, self._stream)

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        if size:
            self._call("copy", self._api.cudaMemcpyAsync, target, source, size, kind, self._stream)

    def _call(self, what: str, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
        code, *values = function(*arguments)
        if int(code):
            self._api.cudaGetLastError()  # the next call would report it again
            fix = "give fewer samples per call" if int(code) == _OUT_OF_MEMORY else "check the GPU and its driver"
            raise InputError(f"the GPU cannot {what} ({self._reason(code)}); {fix}")
        return values[0] if values else None

    def _reason(self, code: Any) -> str:
        _, text = self._api.cudaGetErrorString(code)
        return one_line(text.decode() if isinstance(text, bytes) else text)

    @contextmanager
    def _selected(self) -> Iterator[None]:
        """This GPU is the thread's current one within, and the one before afterwards."""
        before = self._call("be asked", self._api.cudaGetDevice)
        if before == self.ordinal:
            yield
            return
        self._call("be chosen", self._api.cudaSetDevice, self.ordinal)
        try:
            yield
        finally:
            self._api.cudaSetDevice(before)


def _cuda_python() -> Any:
    try:
        return import_module("cuda.bindings.runtime")
    except Exception as error:  # a missing library shows as ImportError or RuntimeError
        raise InputError(
            f'cuda-python cannot be imported ({one_line(error)}); pip install "samplegraph[tensorrt-rtx]" '
            "(or [tensorrt], [gpu])"
        ) from error
