"""What goes in and out of a session: arrays of the host, and arrays that lie on a GPU."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.inputs import Array

Value: TypeAlias = Array | DeviceArray


def host(value: Value) -> Array:
    """``value`` in the host's memory; itself if it is there."""
    return value.numpy() if isinstance(value, DeviceArray) else value


def take(value: Value, picked: Array, axis: int) -> Value:
    """The entries ``picked`` along ``axis``, where ``value`` lies."""
    return value.take(picked, axis) if isinstance(value, DeviceArray) else np.take(value, picked, axis=axis)


def repeated(value: Value, count: int, axis: int) -> Value:
    """``count`` rows along ``axis``: those of ``value``, or its only one ``count`` times."""
    if value.shape[axis] == count:
        return value
    if isinstance(value, DeviceArray):
        return value.take(np.zeros(count, dtype=np.int64), axis)
    return np.broadcast_to(value, (*value.shape[:axis], count, *value.shape[axis + 1 :]))
