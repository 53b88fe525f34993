"""The bytes of a tensor, and what they hash to, without a second copy of the tensor where that is possible."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

Bytes = npt.NDArray[np.uint8]
T = TypeVar("T")
R = TypeVar("R")


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
    """SHA-256 of tensors, each hashed once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[ir.TensorProtocol, str]] = {}

    def of(self, tensors: Sequence[ir.TensorProtocol]) -> list[str]:
        """One hexadecimal digest per tensor. Hashing releases Python's lock: all cores take part."""
        new = list({id(tensor): tensor for tensor in tensors if id(tensor) not in self._known}.values())
        for tensor, digest in zip(new, parallel(_sha256, new), strict=True):
            self._known[id(tensor)] = (tensor, digest)  # keeps the id taken
        return [self._known[id(tensor)][1] for tensor in tensors]


def parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``function`` of each item, in order, in as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


def _sha256(tensor: ir.TensorProtocol) -> str:
    return hashlib.sha256(raw(tensor).data).hexdigest()
