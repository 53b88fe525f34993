"""DLPack, the exchange of tensors between libraries without a copy: a capsule read, and one made.

The structs are those of ``dlpack.h`` (https://dmlc.github.io/dlpack/latest/), unversioned as all libraries have them.
"""

from __future__ import annotations

import ctypes as c
from dataclasses import dataclass
from typing import Any

import numpy as np

#: ``kDLCUDA`` and ``kDLCUDAManaged``.
CUDA, CUDA_MANAGED = 2, 13
_NAME = b"dltensor"
#: (type code, bits) of the dtypes that graphs have.
_DTYPES = {
    **{(0, 32): "int32", (0, 64): "int64", (6, 8): "bool"},
    **{(2, 16): "float16", (2, 32): "float32", (2, 64): "float64"},
}
_CODES = {name: code for code, name in _DTYPES.items()}


class _Tensor(c.Structure):
    _fields_ = (
        ("data", c.c_void_p),
        ("device_type", c.c_int32),
        ("device_id", c.c_int32),
        ("rank", c.c_int32),
        ("code", c.c_uint8),
        ("bits", c.c_uint8),
        ("lanes", c.c_uint16),
        ("shape", c.POINTER(c.c_int64)),
        ("strides", c.POINTER(c.c_int64)),
        ("byte_offset", c.c_uint64),
    )


class _Managed(c.Structure):
    pass


_Deleter = c.CFUNCTYPE(None, c.POINTER(_Managed))
_Managed._fields_ = (("tensor", _Tensor), ("context", c.c_void_p), ("deleter", _Deleter))
_Destructor = c.CFUNCTYPE(None, c.c_void_p)

_python = c.pythonapi
_python.PyCapsule_New.restype = c.py_object
_python.PyCapsule_New.argtypes = (c.c_void_p, c.c_char_p, _Destructor)
_pointer = c.PYFUNCTYPE(c.c_void_p, c.c_void_p, c.c_char_p)(("PyCapsule_GetPointer", _python))
_is_valid = c.PYFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p)(("PyCapsule_IsValid", _python))


@dataclass(frozen=True)
class Described:
    """A tensor in some device's memory; ``dtype`` is None for one that no graph has."""

    address: int
    shape: tuple[int, ...]
    dtype: str | None
    contiguous: bool
    device: tuple[int, int]


def describe(capsule: object) -> Described:
    """What an unused capsule holds. It owns the memory: keep it as long as that is read.

    Raises:
        ValueError: no capsule of a tensor, or a used one.
    """
    if not _is_valid(id(capsule), _NAME):
        raise ValueError("it is no unused DLPack capsule")
    tensor = c.cast(_pointer(id(capsule), _NAME), c.POINTER(_Managed)).contents.tensor
    shape = tuple(tensor.shape[i] for i in range(tensor.rank))
    dtype = _DTYPES.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
    packed = not tensor.strides or _is_packed(shape, [tensor.strides[i] for i in range(tensor.rank)])
    address = (tensor.data or 0) + tensor.byte_offset
    return Described(address, shape, dtype, packed, (tensor.device_type, tensor.device_id))


def _is_packed(shape: tuple[int, ...], strides: list[int]) -> bool:
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True


#: What capsules that are still in use are made of, by address.
_held: dict[int, tuple[Any, ...]] = {}


def _delete(managed: Any) -> None:
    _held.pop(c.addressof(managed.contents), None)


def _destroy(capsule: int) -> None:
    """A consumer renames the capsule and calls the deleter itself."""
    if _is_valid(capsule, _NAME):
        _held.pop(_pointer(capsule, _NAME), None)


_deleter, _destructor = _Deleter(_delete), _Destructor(_destroy)


def capsule(
    address: int, shape: tuple[int, ...], dtype: np.dtype[Any], device: tuple[int, int], owner: object
) -> object:
    """A capsule of packed memory, which ``owner`` keeps until the capsule's consumer is done."""
    code, bits = _CODES[dtype.name]
    axes = (c.c_int64 * max(1, len(shape)))(*shape)
    tensor = _Tensor(address, *device, len(shape), code, bits, 1, c.cast(axes, c.POINTER(c.c_int64)), None, 0)
    managed = _Managed(tensor, None, _deleter)
    _held[c.addressof(managed)] = (managed, axes, owner)
    made: object = _python.PyCapsule_New(c.addressof(managed), _NAME, _destructor)
    return made
