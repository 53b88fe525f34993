"""An array in the memory of a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.gpu import dlpack

if TYPE_CHECKING:
    from samplegraph.runtime.gpu.cuda import Cuda


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """A packed array in GPU memory that ``owner`` keeps. Other libraries read it through DLPack, without a copy:

    image = torch.from_dlpack(engine(seed=0, device_output=True))
    """

    cuda: Cuda
    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: object

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def numpy(self) -> npt.NDArray[Any]:
        """A copy in the host's memory."""
        return self.cuda.download(self)

    def __getitem__(self, rows: slice) -> DeviceArray:
        """A run of rows of the first axis, in the same memory."""
        first, last, _ = rows.indices(self.shape[0])
        row = prod(self.shape[1:]) * self.dtype.itemsize
        shape = (last - first, *self.shape[1:])
        return DeviceArray(self.cuda, self.address + first * row, shape, self.dtype, self.owner)

    def take(self, picked: npt.NDArray[Any], axis: int) -> DeviceArray:
        """The entries ``picked`` along ``axis``, copied into new memory of the GPU, as ``np.take``."""
        outer, block = prod(self.shape[:axis]), prod(self.shape[axis + 1 :]) * self.dtype.itemsize
        shape = (*self.shape[:axis], len(picked), *self.shape[axis + 1 :])
        made = self.cuda.empty(shape, self.dtype)
        for i in range(outer):
            for j, entry in enumerate(picked):
                source = self.address + (i * self.shape[axis] + int(entry)) * block
                self.cuda.move(made.address + (i * len(picked) + j) * block, source, block)
        return made

    def __dlpack_device__(self) -> tuple[int, int]:
        return (dlpack.CUDA, self.cuda.ordinal)

    def __dlpack__(
        self, *, stream: object = None, max_version: object = None, dl_device: object = None, copy: bool | None = None
    ) -> object:
        """A capsule of this memory. All that was to be written into it has been: no stream has to wait.

        Raises:
            BufferError: another device, or a copy, is asked for.
        """
        device = self.__dlpack_device__()
        if copy or dl_device not in (None, device):
            raise BufferError(f"this array gives its own memory on device {device} and no copy; copy what it gives")
        return dlpack.capsule(self.address, self.shape, self.dtype, device, self)
