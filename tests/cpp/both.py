"""What tests of both runtimes share: inputs for either, and a file that both refuse."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binding import NativeEngine, SamplegraphError

from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import Manifest


def inputs(manifest: Manifest, rows: int) -> dict[str, Any]:
    """A value of every input that has to be given, different in each row."""
    random, given = np.random.default_rng(0), {}
    for tensor in manifest.sampler_inputs:
        if tensor.role in ("noise", "step_noise") or tensor.default is not None:
            continue
        shape = (rows, *(int(axis) for axis in tensor.shape[1:]))
        low, high = tensor.minimum or 0, tensor.maximum or 1
        whole = tensor.dtype.startswith("int")
        given[tensor.name] = random.integers(int(low), int(high), shape) if whole else random.uniform(low, high, shape)
    return given


def refused(library: ctypes.CDLL, path: Path, onnxruntime: Path) -> str:
    """The line with which both runtimes refuse to load ``path``."""
    with pytest.raises(InputError) as python:
        Engine(path)
    with pytest.raises(SamplegraphError) as native:
        NativeEngine(library, path, onnxruntime)
    assert native.value.code == 2
    assert str(native.value) == str(python.value)
    return str(native.value)
