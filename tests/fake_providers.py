"""ONNX Runtime with providers for NVIDIA GPUs that it does not have: they run on the CPU, at any address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnxruntime as ort
import pytest

from samplegraph.runtime.gpu.onnx_binding import OnnxOnGpu

#: Short names -> those in ONNX Runtime's.
GPU = {"nvtensorrtrtx": "NvTensorRTRTX", "tensorrt": "Tensorrt", "cuda": "CUDA"}


class FakeProviders:
    """Puts them into the package; what it was told, and what it is to refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.starting = {f"{name}ExecutionProvider" for name in (*GPU.values(), "CPU")}
        self.refuses: set[str] = set()
        self.fails_with_graphs = False
        self.sessions: list[Any] = []
        self.bindings: list[Any] = []
        self.runs: list[dict[str, str]] = []
        self.waiting: Callable[[], int] = lambda: 0
        session, options = ort.InferenceSession, ort.RunOptions
        known = [*self.starting]
        world = self

        class Session:
            def __init__(self, file: str, settings: Any, providers: list[Any], **_: Any) -> None:
                self.told = {p if isinstance(p, str) else p[0]: {} if isinstance(p, str) else p[1] for p in providers}
                for told in self.told.values():
                    if world.refuses & set(told):
                        raise RuntimeError("This session cannot use the graph capture feature")
                self._real = session(file, settings, providers=["CPUExecutionProvider"])
                world.sessions.append(self)

            def get_providers(self) -> list[str]:
                return [name for name in self.told if name in world.starting]

            def io_binding(self) -> Any:
                world.bindings.append(self._real.io_binding())
                return world.bindings[-1]

            def run_with_iobinding(self, binding: Any, told: Any) -> None:
                world.runs.append(told.entries)
                assert world.waiting() == 0
                if world.fails_with_graphs and told.entries.get("gpu_graph_id", "-1") != "-1":
                    raise RuntimeError("operation not permitted when stream is capturing")
                self._real.run_with_iobinding(binding, told)

            def __getattr__(self, name: str) -> Any:
                return getattr(self._real, name)

        class Options(options):
            def __init__(self) -> None:
                super().__init__()
                self.entries: dict[str, str] = {}

            def add_run_config_entry(self, key: str, value: str) -> None:
                self.entries[key] = value  # the CPU knows none of them

        monkeypatch.setattr(ort, "InferenceSession", Session)
        monkeypatch.setattr(ort, "RunOptions", Options)
        monkeypatch.setattr(ort, "get_available_providers", lambda: known)
        monkeypatch.setattr(OnnxOnGpu, "device", "cpu")
