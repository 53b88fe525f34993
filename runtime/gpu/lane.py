"""The tensors of one set of shapes: bound once, filled, and the work on them begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.gpu.memory import Graph, Pinned
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.values import Value


class Bound(Protocol):
    """A program with the addresses of all its tensors."""

    #: Whether a CUDA graph can hold what ``enqueue`` begins.
    capturable: bool

    def enqueue(self) -> None:
        """Begin one run."""


class Lane:
    """Tensors in GPU memory, pinned memory to fill them from, and from the second run on one CUDA graph.

    Where capturing fails each run is enqueued; ``notes`` says so.
    """

    def __init__(
        self, cuda: Cuda, bound: Bound, inputs: Mapping[str, DeviceArray], outputs: list[DeviceArray], notes: Notes
    ) -> None:
        self._cuda, self._bound, self._inputs, self.outputs, self._notes = cuda, bound, inputs, outputs, notes
        self._pinned: dict[str, Pinned] = {}
        self._graph: Graph | None = None
        self._capture, self._warm = bound.capturable, False
        self._filled = -1

    def fill(self, feed: Mapping[str, Value]) -> None:
        """Copy the inputs in: from the host through pinned memory, from the GPU within it."""
        if self._filled == self._cuda.waits:
            self._cuda.wait()  # the copies out of the pinned memory may still be going on
        for name, target in self._inputs.items():
            value = feed[name]
            if isinstance(value, DeviceArray):
                self._cuda.move(target.address, value.address, target.nbytes)
            else:
                if name not in self._pinned:
                    self._pinned[name] = self._cuda.pinned(target.nbytes)
                staged = self._pinned[name].array(target.shape, target.dtype)
                np.copyto(staged, value)
                self._cuda.upload(target, staged)
        self._filled = self._cuda.waits

    def launch(self) -> None:
        """Begin one run; what the library sets up in its first is not captured."""
        if self._graph is None and self._capture and self._warm:
            try:
                self._graph = self._cuda.capture(self._bound.enqueue)
            except InputError as error:
                self._capture = False
                self._notes.add(f"no CUDA graph: {error}")
        if self._graph is not None:
            self._cuda.launch(self._graph)
        else:
            self._bound.enqueue()
        self._warm = True
