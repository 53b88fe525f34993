"""The real libraries without a GPU: they have what the runtime calls, and what they cannot do is said in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_tensorrt
import numpy as np
import pytest
import torch
from fake_cuda import FakeCuda

from samplegraph.export.engine import BUILDERS, BuildSettings, build_engine, plan_engines
from samplegraph.runtime import InputError
from samplegraph.runtime.gpu import dlpack
from samplegraph.runtime.gpu.cuda import Cuda

Toy = Callable[..., Path]

WITHOUT_GPU = """
import sys
from pathlib import Path
from samplegraph.runtime import Engine, InputError, read_manifest
from samplegraph.runtime.gpu.tensorrt_engine import TensorRTEngine
import tensorrt_rtx

file = Path(sys.argv[1])
for load in (lambda: Engine(file), lambda: TensorRTEngine(file, read_manifest(file), tensorrt_rtx, 0, True)):
    try:
        load()
        print("loaded")
    except InputError as error:
        print(error)
"""


def has_gpu() -> bool:
    try:
        Cuda()
    except InputError:
        return False
    return True


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_cuda_python_has_what_the_stand_in_has() -> None:
    real = pytest.importorskip("cuda.bindings.runtime")
    names = {name for name in public(FakeCuda) if name.startswith("cuda")}
    assert {name for name in names if not hasattr(real, name)} == set()
    for group in ("cudaMemcpyKind", "cudaDeviceAttr", "cudaStreamCaptureMode"):
        assert {name for name in vars(getattr(FakeCuda, group)) if not hasattr(getattr(real, group), name)} == set()
    assert int(real.cudaStream_t(5)) == 5
    assert int(real.cudaError_t.cudaErrorMemoryAllocation) == 2


def test_tensorrt_has_what_the_stand_in_has() -> None:
    real = pytest.importorskip("tensorrt_rtx")
    module = fake_tensorrt.fake_tensorrt(FakeCuda())
    own = {"calls", "made", "fails", "cuda", "driver"}
    own |= {"tensors", "shapes", "addresses", "module", "log", "session", "config"}
    assert {name for name in vars(module) if not hasattr(real, name)} <= {*own, "__builtins__"}
    for kind, stand_in in (
        (real.Runtime, fake_tensorrt._Runtime),
        (real.ICudaEngine, fake_tensorrt._Engine),
        (real.IExecutionContext, fake_tensorrt._Context),
    ):
        assert {name for name in public(stand_in) if not hasattr(kind, name)} == set()
    for name in ("TensorIOMode", "TensorLocation", "CudaGraphStrategy", "DynamicShapesKernelSpecializationStrategy"):
        assert set(vars(getattr(module, name))) <= set(getattr(real, name).__members__)
    for name in ("cuda_graph_strategy", "dynamic_shapes_kernel_specialization_strategy"):
        assert hasattr(real.IRuntimeConfig, name)
    assert set(fake_tensorrt.Severity.__members__) <= set(real.ILogger.Severity.__members__)
    assert {name for name, _ in fake_tensorrt._DTYPES.values()} <= set(real.DataType.__members__)


def test_a_real_engine_without_a_gpu_is_one_line_each(toy: Toy) -> None:
    """In a process of its own: what is wrong in native code may end it."""
    pytest.importorskip("tensorrt_rtx")
    pytest.importorskip("cuda.bindings.runtime")
    if has_gpu():
        pytest.skip("there is a GPU")
    (plan,) = plan_engines(toy(), BUILDERS["tensorrt-rtx"], ["sm89"], BuildSettings())
    build_engine(plan)
    line = [sys.executable, "-c", WITHOUT_GPU, str(plan.output)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    engine, library = done.stdout.splitlines()
    assert engine.startswith("no NVIDIA GPU can be used here (")
    assert library.startswith(f"{plan.output}: tensorrt-rtx cannot load it (")
    assert library.endswith("; build it again with `samplegraph build`")


class OnHost:
    """A capsule of our own, of memory that torch and numpy can read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **_: Any) -> object:
        return dlpack.capsule(self.array.ctypes.data, self.array.shape, self.array.dtype, (1, 0), self)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "int32", "bool"])
def test_torch_and_numpy_read_our_capsules_and_we_theirs(dtype: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 5).astype(dtype)
    before = len(dlpack._held)
    ours = torch.from_dlpack(OnHost(array)), np.from_dlpack(OnHost(array))
    assert len(dlpack._held) == before + 2
    assert np.array_equal(ours[0].numpy(), array)
    assert np.array_equal(ours[1], array)
    for theirs in (torch.from_numpy(array)[1:], array[1:]):
        capsule = theirs.__dlpack__()
        found = dlpack.describe(capsule)
        assert found == dlpack.Described(array[1:].ctypes.data, (1, 3, 4), dtype, True, (1, 0))
    assert not dlpack.describe(torch.from_numpy(array).transpose(0, 1).__dlpack__()).contiguous
    del ours
    assert len(dlpack._held) == before


def test_a_capsule_that_nobody_reads_is_freed_and_a_used_one_refused() -> None:
    before = len(dlpack._held)
    capsule = OnHost(np.zeros(3, np.float32)).__dlpack__()
    assert len(dlpack._held) == before + 1
    kept = torch.utils.dlpack.from_dlpack(capsule)
    with pytest.raises(ValueError, match="no unused DLPack capsule"):
        dlpack.describe(capsule)
    del capsule
    assert len(dlpack._held) == before + 1
    del kept
    capsule = OnHost(np.zeros(3, np.float32)).__dlpack__()
    del capsule
    assert len(dlpack._held) == before
    assert dlpack.describe(torch.zeros(2, dtype=torch.bfloat16).__dlpack__()).dtype is None


def test_a_tensor_may_begin_behind_its_address() -> None:
    array = np.zeros(6, np.float32)
    capsule = OnHost(array).__dlpack__()
    managed = list(dlpack._held.values())[-1][0]
    managed.tensor.byte_offset = 8
    assert dlpack.describe(capsule).address == array.ctypes.data + 8
