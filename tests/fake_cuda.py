"""CUDA's runtime API as cuda-python has it, on the host's memory: nothing happens until the stream is waited for.

So what is read too early, or overwritten before it was read, shows in the numbers.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

Work = Callable[[], None]
NO_DEVICE, OUT_OF_MEMORY, CAPTURE_FAILED = 100, 2, 900


class FakeCuda:
    """What the runtime calls of ``cuda.bindings.runtime``; ``calls`` counts it, ``fails`` names what fails."""

    cudaStreamNonBlocking = 1
    cudaMemcpyKind = SimpleNamespace(
        cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out", cudaMemcpyDeviceToDevice="on"
    )
    cudaDeviceAttr = SimpleNamespace(cudaDevAttrComputeCapabilityMajor=0, cudaDevAttrComputeCapabilityMinor=1)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, compute_capability: tuple[int, int] = (8, 9), devices: int = 1) -> None:
        self.capability, self.devices = compute_capability, devices
        self.calls: Counter[str] = Counter()
        self.fails: dict[str, int] = {}
        self.blocks: dict[int, Any] = {}
        self.queue: list[Work] = []
        self.capturing: list[Work] | None = None
        self.current = 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith("cuda") or not callable(found):
            return found

        def counted(*arguments: Any) -> Any:
            self.calls[name] += 1
            if name not in self.fails:
                return found(*arguments)
            if name == "cudaStreamEndCapture":
                self.capturing = None
            return self.fails[name], None

        return counted

    def begin(self, work: Work) -> None:
        """What a library puts into the stream."""
        (self.queue if self.capturing is None else self.capturing).append(work)

    def array(self, address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The device memory there."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        assert self.holds(address, size), "memory that is not reserved"
        return np.frombuffer((ctypes.c_char * size).from_address(address), kind).reshape(shape)

    def holds(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + len(block) for start, block in self.blocks.items())

    def cudaGetDeviceCount(self) -> tuple[int, int]:
        return (0, self.devices) if self.devices else (NO_DEVICE, 0)

    def cudaGetDevice(self) -> tuple[int, int]:
        return 0, self.current

    def cudaSetDevice(self, device: int) -> tuple[int]:
        self.current = device
        return (0,)

    def cudaDeviceGetAttribute(self, attribute: int, device: int) -> tuple[int, int]:
        return 0, self.capability[attribute]

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, int]:
        assert flags == self.cudaStreamNonBlocking
        return 0, 7

    def cudaStreamDestroy(self, stream: int) -> tuple[int]:
        return (0,)

    def _reserve(self, size: int) -> tuple[int, int]:
        block = ctypes.create_string_buffer(b"\xff" * size, size)  # NaN
        self.blocks[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    def cudaMalloc(self, size: int) -> tuple[int, int]:
        return self._reserve(size)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int, int]:
        return self._reserve(size)

    def _release(self, address: int) -> tuple[int]:
        self.cudaStreamSynchronize(7)
        del self.blocks[address]
        return (0,)

    def cudaFree(self, address: int) -> tuple[int]:
        return self._release(address)

    def cudaFreeHost(self, address: int) -> tuple[int]:
        return self._release(address)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: str, stream: int) -> tuple[int]:
        assert self.holds(target, size)
        assert self.holds(source, size), "memory that is neither reserved nor pinned"
        self.calls[kind] += 1
        self.begin(lambda: ctypes.memmove(target, source, size) and None)
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:
        assert self.capturing is None, "no capture survives this"
        while self.queue:
            self.queue.pop(0)()
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:
        self.capturing = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[int, Any]:
        captured, self.capturing = self.capturing, None
        return 0, captured

    def cudaGraphInstantiate(self, graph: list[Work], flags: int) -> tuple[int, list[Work]]:
        return 0, list(graph)

    def cudaGraphDestroy(self, graph: list[Work]) -> tuple[int]:
        graph.clear()
        return (0,)

    def cudaGraphExecDestroy(self, graph: list[Work]) -> tuple[int]:
        return (0,)

    def cudaGraphLaunch(self, graph: list[Work], stream: int) -> tuple[int]:
        self.queue += graph
        return (0,)

    def cudaGetLastError(self) -> tuple[int]:
        return (0,)

    def cudaGetErrorString(self, code: int) -> tuple[int, bytes]:
        return 0, f"error {code}".encode()
