"""The bytes of a tensor, and what they hash to, without a second copy of the tensor where that is possible."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

Bytes = npt.NDArray[np.uint8]
T = TypeVar("T")
R = TypeVar("R")
_Memory = tuple[object, ...]


def raw(tensor: ir.TensorProtocol) -> Bytes:
    """The bytes as ONNX stores them: a view of the tensor's memory where it is laid out like that."""
    view = view_of(tensor)
    return view if view is not None else np.frombuffer(tensor.tobytes(), dtype=np.uint8)


def view_of(tensor: ir.TensorProtocol, *, transposed: bool = False) -> Bytes | None:
    """The memory of the tensor, or of its transpose, as bytes; None where that is no contiguous memory."""
    array: npt.NDArray[Any] = tensor.numpy()
    array = array.T if transposed else array
    if sys.byteorder != "little" or not array.flags.c_contiguous or array.nbytes != tensor.nbytes:
        return None
    return array.reshape(-1).view(np.uint8)


class Digests:
    """SHA-256 of tensors; equal memory is hashed once. Hashing releases Python's lock: all cores take part."""

    def __init__(self) -> None:
        self._known: dict[_Memory, tuple[ir.TensorProtocol, Future[str]]] = {}

    def of(self, tensors: Sequence[ir.TensorProtocol]) -> list[str]:
        """One hexadecimal digest per tensor."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            keys = self._begin(pool, tensors)
            return [self._known[key][1].result() for key in keys]

    @contextmanager
    def ahead(self, tensors: Iterable[ir.TensorProtocol]) -> Iterator[None]:
        """Hash ``tensors`` while the block runs, on all cores but one; ``of`` does what is not begun at its end."""
        pool = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1))
        try:
            self._begin(pool, tensors)
            yield
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, tensors: Iterable[ir.TensorProtocol]) -> list[_Memory]:
        """Have ``pool`` hash what is neither known nor being hashed."""
        keys = []
        for tensor in tensors:
            key = _memory(tensor)
            known = self._known.get(key)
            if known is None or known[1].cancel():
                self._known[key] = (tensor, pool.submit(_sha256, tensor))  # keeps the memory taken
            keys.append(key)
        return keys


def parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``function`` of each item, in order, in as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


def _sha256(tensor: ir.TensorProtocol) -> str:
    return hashlib.sha256(raw(tensor).data).hexdigest()


def _memory(tensor: ir.TensorProtocol) -> _Memory:
    """Where the numbers lie; a whole tensor has the same bytes in any shape. One made anew at each look is itself."""
    array = tensor.numpy()
    address = _address(array)
    if _address(tensor.numpy()) != address:
        return (id(tensor),)
    whole = view_of(tensor) is not None
    return (address, array.nbytes) if whole else (address, array.shape, array.strides, tensor.dtype)


def _address(array: npt.NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
