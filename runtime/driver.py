"""What runs one batch through a sampler, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import RESERVED, Manifest
from samplegraph.runtime.session import Session
from samplegraph.runtime.values import Value

#: Layouts this runtime can drive.
LAYOUTS = ("unrolled", "loop", "chunked", "step", "repeated")


@dataclass(frozen=True)
class Position:
    """After step ``step`` (from 0): the sample, and the clean sample predicted last (None: none yet), (B, ...)."""

    step: int
    sample: Value
    x0: Value | None


#: Told each position that a layout shows; what it raises ends the run.
Watch = Callable[[Position], None]


class Driver(Protocol):
    """One batch of exactly B rows from its inputs to its samples."""

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers in use."""

    @property
    def stops(self) -> int:
        """How many positions a run shows."""

    def run(self, feed: Mapping[str, Value], watch: Watch | None = None) -> Value:
        """The samples for the sampler's inputs ``feed``, by name."""


class WholeGraph:
    """The sampler as one graph: it shows its end only."""

    def __init__(self, session: Session, last: int) -> None:
        self._session, self._last = session, last

    @property
    def providers(self) -> tuple[str, ...]:
        return self._session.providers

    @property
    def stops(self) -> int:
        return 1

    def run(self, feed: Mapping[str, Value], watch: Watch | None = None) -> Value:
        sample = self._session.run(feed)[0]
        if watch is not None:
            watch(Position(self._last, sample, None))
        return sample


def check_drivable(path: Path, manifest: Manifest) -> None:
    """Whether there is a driver for the sampler, and it can be called.

    Raises:
        InputError: a layout that is not known, or an input called as an argument of the call.
    """
    if manifest.layout.partition(":")[0] not in LAYOUTS:
        raise InputError(
            f"{path}: layout {manifest.layout!r} is not one this runtime drives ({', '.join(LAYOUTS)}); "
            "update samplegraph"
        )
    for tensor in manifest.sampler_inputs:
        if tensor.name in RESERVED:
            raise InputError(f"{path}: an input is called {tensor.name!r}, as is an argument of the call; rename it")
