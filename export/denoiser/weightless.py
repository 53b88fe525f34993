"""A captured graph as bytes without its weights: each is said as a part of one of the network's tensors."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import torch
from onnx_ir.tensor_adapters import TorchTensor

from samplegraph.export.storage.weights import tensor_of

#: Bytes of all constants that are no part of a weight: frequencies, masks, shapes.
MOST = 1 << 20
_STRIDES = "strides"


def to_bytes(model: ir.Model, tensors: Mapping[str, torch.Tensor]) -> bytes | None:
    """``model`` with each weight given by a tensor's name and where in it the weight lies.

    Args:
        tensors: the network's, each one piece of memory.

    Returns:
        None where constants that are no part of any tensor are too large to be kept: weights may have gone into them.
    """
    memory, strides, inline = _Memory(tensors), {}, 0
    held = {value: tensor_of(value) for value in model.graph.initializers.values()}
    try:
        for value, tensor in held.items():
            array = tensor.numpy()
            found = memory.find(array) if array.nbytes == tensor.nbytes else None
            if found is None:
                inline += tensor.nbytes
                if inline > MOST:
                    return None
                continue
            name, offset = found
            strides[str(value.name)] = array.strides
            shape = ir.Shape(array.shape)
            value.const_value = ir.ExternalTensor(
                name, offset, tensor.nbytes, tensor.dtype, shape=shape, name=str(value.name)
            )
        model.metadata_props[_STRIDES] = json.dumps(strides)
        data: bytes = ir.serde.serialize_model(model).SerializeToString(deterministic=True)
        return data
    finally:
        model.metadata_props.pop(_STRIDES, None)
        for value, tensor in held.items():
            value.const_value = tensor


def from_bytes(data: bytes, tensors: Mapping[str, torch.Tensor]) -> ir.Model:
    """What ``to_bytes`` was given, over the memory of ``tensors``.

    Raises:
        ValueError, KeyError: ``data`` are not of a model over such tensors.
    """
    model = ir.serde.deserialize_model(onnx.ModelProto.FromString(data))
    strides = json.loads(model.metadata_props.pop(_STRIDES))
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor):
            memory = _array(tensors[str(tensor.location)]).reshape(-1).view(np.uint8)
            array: npt.NDArray[np.generic] = np.ndarray(
                tuple(tensor.shape.numpy()),
                tensor.dtype.numpy(),
                buffer=memory,
                offset=tensor.offset or 0,
                strides=strides[value.name],
            )
            value.const_value = ir.Tensor(array, dtype=tensor.dtype, name=value.name)
    return model


@dataclass(frozen=True)
class _Piece:
    """The bytes of a tensor."""

    start: int
    end: int
    name: str
    dtype: np.dtype[np.generic]


class _Memory:
    """Which tensor an array is a part of."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        arrays = {name: _array(tensor) for name, tensor in tensors.items()}
        pieces = [_Piece(_start(a), _start(a) + a.nbytes, name, a.dtype) for name, a in arrays.items() if a.nbytes]
        self._pieces = sorted(pieces, key=lambda piece: (piece.start, piece.end, piece.name))
        self._starts = [piece.start for piece in self._pieces]

    def find(self, array: npt.NDArray[np.generic]) -> tuple[str, int] | None:
        """The tensor's name, and where in its bytes the array begins."""
        index = bisect_right(self._starts, _start(array)) - 1
        if index < 0 or min(array.strides, default=0) < 0:
            return None
        piece = self._pieces[index]
        last = sum((n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True))
        if not array.nbytes or _start(array) + last + array.itemsize > piece.end or array.dtype != piece.dtype:
            return None
        return piece.name, _start(array) - piece.start


def _array(tensor: torch.Tensor) -> npt.NDArray[np.generic]:
    array: npt.NDArray[np.generic] = TorchTensor(tensor.detach()).numpy()
    return array


def _start(array: npt.NDArray[np.generic]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
