"""A session whose tensors lie on the GPU and are bound once per set of shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.gpu.lane import Bound, Lane
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.values import Value

#: Sets of shapes that stay bound; each holds a run's tensors and scratch memory.
LANES = 4


class Program(Protocol):
    """A loaded engine or graph."""

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs it."""

    def bind(self, tensors: Mapping[str, DeviceArray]) -> Bound:
        """The program with these inputs and outputs; others may be bound beside them.

        Raises:
            InputError: it does not take these shapes.
        """


class BoundSession:
    """Runs ``program`` on ``cuda``. Outputs stay on the GPU and are overwritten by the next run of the same shapes.

    It is not to be called from two threads at once: see ``Cuda.turn``.
    """

    def __init__(self, cuda: Cuda, program: Program, manifest: Manifest, notes: Notes) -> None:
        self._cuda, self._program, self._manifest, self._notes = cuda, program, manifest, notes
        self._lanes: dict[tuple[tuple[int, ...], ...], Lane] = {}

    @property
    def providers(self) -> tuple[str, ...]:
        return self._program.providers

    def run(self, feed: Mapping[str, Value]) -> list[Value]:
        """The outputs, in the manifest's order, on the GPU; they may still be computed.

        Raises:
            InputError: the GPU, or the program, fails.
        """
        key = tuple(feed[t.name].shape for t in self._manifest.inputs)
        lane = self._lanes.pop(key, None)
        if lane is None:
            if len(self._lanes) == LANES:
                self._cuda.wait()  # before its memory is freed
                del self._lanes[next(iter(self._lanes))]
            lane = self._bind(feed)
        self._lanes[key] = lane
        lane.fill(feed)
        lane.launch()
        return list(lane.outputs)

    def _bind(self, feed: Mapping[str, Value]) -> Lane:
        sizes: dict[str, int] = {}
        for tensor in self._manifest.inputs:
            for axis, size in zip(tensor.shape, feed[tensor.name].shape, strict=True):
                if isinstance(axis, str):
                    sizes[axis] = size
        inputs = {t.name: self._cuda.empty(feed[t.name].shape, t.dtype) for t in self._manifest.inputs}
        outputs = {
            t.name: self._cuda.empty(tuple(a if isinstance(a, int) else sizes[a] for a in t.shape), t.dtype)
            for t in self._manifest.outputs
        }
        return Lane(self._cuda, self._program.bind({**inputs, **outputs}), inputs, list(outputs.values()), self._notes)
