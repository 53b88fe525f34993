"""Memory that CUDA gives out, and captured work: each is given back with its object."""

from __future__ import annotations

import ctypes
import weakref
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt


class Memory:
    """Memory of the GPU. ``free`` is the function that gives it back."""

    def __init__(self, address: int, free: Any) -> None:
        self.address = address
        weakref.finalize(self, free, address).atexit = False


class Pinned:
    """Page-locked memory of the host, which the GPU reads and writes directly."""

    def __init__(self, address: int, size: int, free: Any) -> None:
        self.address, self.size = address, size
        weakref.finalize(self, free, address).atexit = False

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Its beginning as an array, which does not keep it."""
        memory = (ctypes.c_char * (prod(shape) * dtype.itemsize)).from_address(self.address)
        return np.frombuffer(memoryview(memory), dtype).reshape(shape)


class Graph:
    """Captured work, ready to be launched."""

    def __init__(self, handle: Any, free: Any) -> None:
        self.handle = handle
        weakref.finalize(self, free, handle).atexit = False
