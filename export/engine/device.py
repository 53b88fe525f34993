"""The GPU at hand, as the driver's own library tells it."""

from __future__ import annotations

import ctypes

_DRIVER = "libcuda.so.1"
#: CUdevice_attribute of the CUDA driver API.
_MAJOR, _MINOR = 75, 76


def compute_capability() -> tuple[int, int] | None:
    """(major, minor) of CUDA device 0; None where there is no driver or no device."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    for attribute, value in ((_MAJOR, major), (_MINOR, minor)):
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
            return None
    return major.value, minor.value
