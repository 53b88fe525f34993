"""Times the phases of a compilation and tells a listener how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: ``listener(phase, done, total)``
Listener = Callable[[str, int, int], None]


class Phases:
    """Seconds by phase, in order."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._listener = listener

    @contextmanager
    def phase(self, name: str, total: int = 1) -> Iterator[Callable[[int], None]]:
        """Time a block; the value it is given is called with the index of each part that is done."""
        self._tell(name, 0, total)
        start = time.perf_counter()
        yield lambda index: self._tell(name, index + 1, total)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        self._tell(name, total, total)

    def _tell(self, name: str, done: int, total: int) -> None:
        if self._listener is not None:
            self._listener(name, done, total)
