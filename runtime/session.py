"""What a driver needs of a loaded graph or engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from samplegraph.runtime.values import Value


class Session(Protocol):
    """One loaded graph or engine."""

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs it: ONNX Runtime's execution providers, or the engine's library."""

    def run(self, feed: Mapping[str, Value]) -> list[Value]:
        """The outputs, in the manifest's order, where they were computed.

        Those on a GPU are overwritten by the next run.
        """
