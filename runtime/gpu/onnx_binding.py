"""A graph in ONNX Runtime on an NVIDIA GPU, its tensors bound by address."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.notes import Notes
from samplegraph.runtime.onnx_session import OnnxSession

#: The run option that tells captured graphs apart; -1 runs without. ONNX Runtime's documentation, "CUDA graphs".
_GRAPH_ID, _NO_GRAPH = "gpu_graph_id", "-1"


class OnnxOnGpu:
    """Binds the tensors of ``session``; where it captures CUDA graphs it does so itself, one per binding."""

    #: ONNX Runtime's name for where the addresses are.
    device = "cuda"

    def __init__(self, session: OnnxSession, cuda: Cuda, manifest: Manifest, notes: Notes) -> None:
        self._session, self._cuda, self._notes = session, cuda, notes
        self._inputs = {t.name for t in manifest.inputs}
        self._ids = count(1)

    @property
    def providers(self) -> tuple[str, ...]:
        return self._session.providers

    def bind(self, tensors: Mapping[str, DeviceArray]) -> _Binding:
        """See ``Program.bind``."""
        binding = self._session.io_binding()
        for name, tensor in tensors.items():
            bind = binding.bind_input if name in self._inputs else binding.bind_output
            bind(name, self.device, self._cuda.ordinal, tensor.dtype.type, tensor.shape, tensor.address)
        return _Binding(self._session, binding, self._cuda, str(next(self._ids)), self._notes)


class _Binding:
    """One set of bound tensors. A run ends before ``enqueue`` returns: ONNX Runtime waits for its own stream."""

    capturable = False

    def __init__(self, session: OnnxSession, binding: Any, cuda: Cuda, graph_id: str, notes: Notes) -> None:
        self._session, self._binding, self._cuda, self._notes = session, binding, cuda, notes
        self._graph_id = graph_id if session.captures else None

    def enqueue(self) -> None:
        """Run, once the inputs are there.

        Raises:
            InputError: ONNX Runtime fails.
        """
        self._cuda.wait()
        if self._graph_id not in (None, _NO_GRAPH):
            try:
                self._session.run_bound(self._binding, {_GRAPH_ID: self._graph_id})
                return
            except InputError as error:
                self._graph_id = _NO_GRAPH
                self._notes.add(f"no CUDA graph: {error}")
        self._session.run_bound(self._binding, {} if self._graph_id is None else {_GRAPH_ID: _NO_GRAPH})
