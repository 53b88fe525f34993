"""Where the commands write, and how a long piece of work is shown and interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from samplegraph.export.cli.main import WORKER
from samplegraph.runtime import InputError

T = TypeVar("T")
#: Columns used where the output is not a terminal.
_WIDTH = 132


def stdout() -> Console:
    """The console for results."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """``update(done, total)`` of a bar on stderr, shown on a terminal and for more than one call."""
    console = Console(stderr=True)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, visible=False)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=total > 1)

        yield update


@contextmanager
def phase_bars() -> Iterator[Callable[[str, int, int], None]]:
    """``listener(phase, done, total)``: one line per phase on stderr, shown on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def listener(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=None)
            bar.update(tasks[phase], completed=done, total=total if done else None)

        yield listener


def quiet_engine() -> None:
    """Keep ONNX Runtime's own log off stderr: it repeats, on lines of its own, what its exceptions say."""
    with suppress(Exception):  # where it is not installed, what needs it says so
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)


def interruptible(work: Callable[[], T], cancel: threading.Event | None = None, patience: float = 0.0) -> T:
    """``work()`` in a thread, so that Ctrl-C is answered even inside a long call of the inference engine.

    Args:
        cancel: set at Ctrl-C; ``work`` that heeds it then has ``patience`` seconds to end.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(work())
        except SystemExit as error:
            errors.append(InputError(f"the model's code ended the program (SystemExit: {error}); take that call out"))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target, name=WORKER, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
    except KeyboardInterrupt:
        if cancel is not None:
            cancel.set()
            thread.join(patience)
        raise
    if errors:
        raise errors[0]
    return results[0]
