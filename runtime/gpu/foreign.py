"""Inputs that lie on the GPU already, in another library's memory."""

from __future__ import annotations

import numpy as np

from samplegraph.runtime.errors import InputError, one_line
from samplegraph.runtime.gpu import dlpack
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.inputs import shaped, to_array
from samplegraph.runtime.manifest import Tensor
from samplegraph.runtime.values import Value


def to_value(tensor: Tensor, value: object, cuda: Cuda | None) -> Value:
    """``value`` as an input: from the host checked and cast, on the GPU as it lies there, without a copy.

    Raises:
        InputError: see ``to_array``. What lies on a GPU has to lie on that of the engine, packed, in the input's dtype;
            its numbers are not looked at.
    """
    device = _device(value)
    if device is None or device[0] not in (dlpack.CUDA, dlpack.CUDA_MANAGED):
        return to_array(tensor, value)
    if cuda is None:
        raise InputError(f"{tensor.name} lies on a GPU and this engine runs on the host; give it as a numpy array")
    if device[1] != cuda.ordinal:
        raise InputError(f"{tensor.name} lies on GPU {device[1]} and the engine on GPU {cuda.ordinal}; move it there")
    try:
        capsule = value.__dlpack__(stream=cuda.stream)  # type: ignore[attr-defined]
        found = dlpack.describe(capsule)
    except Exception as error:  # foreign code
        why = one_line(error, 100)
        raise InputError(f"{tensor.name} cannot be read through DLPack ({why}); give an array") from error
    if found.dtype != tensor.dtype:
        raise InputError(f"{tensor.name} is {found.dtype or 'of another dtype'} on the GPU; give it as {tensor.dtype}")
    if not found.contiguous:
        raise InputError(f"{tensor.name} is not packed in the GPU's memory; give it in row-major order, without gaps")
    shape = shaped(tensor, np.broadcast_to(np.empty((), found.dtype), found.shape)).shape
    return DeviceArray(cuda, found.address, shape, np.dtype(found.dtype), capsule)


def _device(value: object) -> tuple[int, int] | None:
    """Where DLPack says that ``value`` lies; None where it says nothing."""
    ask = getattr(value, "__dlpack_device__", None)
    if ask is None or not callable(ask):
        return None
    try:
        kind, ordinal = ask()
        return int(kind), int(ordinal)
    except Exception:  # foreign code, which numpy may read nevertheless
        return None
