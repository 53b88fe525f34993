"""What a builder says while it works: how far it is, and why it stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from samplegraph.runtime.errors import one_line

#: ``listener(phase, done, total)``; where it returns False the build is cancelled.
Listener = Callable[[str, int, int], object]


def progress_monitor(trt: Any, listener: Listener) -> Any:
    """A progress monitor for ``trt`` that calls ``listener``; an exception of the listener cancels the build too."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.totals: dict[str, int] = {}
            self.go_on = True

        def phase_start(self, phase: str, _parent: str | None, steps: int) -> None:
            self.totals[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            try:
                self.go_on = self.go_on and listener(phase, step + 1, self.totals[phase]) is not False
            except Exception:  # cannot cross the builder's own code
                self.go_on = False
            return self.go_on

        def phase_finish(self, phase: str) -> None:
            pass

    return Monitor()


def said(errors: list[str]) -> str:
    """The last error as one line, or a word for none."""
    return one_line(errors[-1]) if errors else "it gives no reason"
