"""Builds an engine in a process of its own: what ends a builder, such as a lack of memory, does not end the caller."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from samplegraph.export.atomic import replacing_together
from samplegraph.export.engine.files import EnginePlan, engine_of
from samplegraph.export.engine.listening import Listener
from samplegraph.export.errors import ExportError
from samplegraph.runtime.errors import CancelledError, one_line
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.manifest_file import sidecar

#: Seconds between two calls of a listener while the builder reports nothing.
_BEAT = 0.2
_CHILD = "from samplegraph.export.engine.apart import work; work()"


def build_apart(plan: EnginePlan, listener: Listener = lambda phase, done, total: None) -> Manifest:
    """``build_engine`` in a child process, whose output is dropped: builders repeat there what their log says.

    Args:
        listener: is called again with its last report while the builder works on, so that a cancelled build ends at
            once.

    Raises:
        ExportError: as ``build_engine``, or the child was ended, as happens where memory runs out.
        InputError, CancelledError: as ``build_engine``.
    """
    with _Child(plan) as child:
        child.send(plan)
        report: tuple[str, int, int] = ("start", 0, 1)
        while not isinstance(message := child.receive(report), Manifest):
            report = message
            if listener(*report) is False:
                raise CancelledError(f"{plan.graph}: the build for {plan.target} was cancelled")
        with replacing_together([plan.output, sidecar(plan.output)]) as (engine, text):
            child.send(engine)
            text.write_text(message.to_json(), encoding="utf-8")
            while child.receive(None) is None:
                pass
        return message


class _Child:
    """The child process: objects to and from it; it is ended with the block.

    Raises:
        ExportError: from ``send`` and ``receive``, where it has ended; ``receive`` raises what the child met, too.
    """

    def __init__(self, plan: EnginePlan) -> None:
        self._plan, self._messages = plan, SimpleQueue[Any]()

    def __enter__(self) -> _Child:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._from.close()

    def send(self, thing: object) -> None:
        try:
            pickle.dump(thing, self._to)
            self._to.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self, otherwise: Any) -> Any:
        """Its next message, or ``otherwise`` if it says nothing for a while."""
        try:
            message = self._messages.get(timeout=_BEAT)
        except Empty:
            return otherwise
        if message is None:
            raise self._ended()
        if isinstance(message, Exception):
            raise message
        return message

    def _read(self) -> None:
        """Everything that it says, and None where it ends."""
        try:
            while True:
                self._messages.put(pickle.load(self._from))
        except (EOFError, pickle.UnpicklingError):
            self._messages.put(None)

    def _ended(self) -> ExportError:
        plan, code = self._plan, self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return ExportError(
            f"{plan.graph}: the process of {plan.kind.name} ended with {how} while it built for {plan.target}, "
            "probably for lack of memory; export with --layout chunked:K, or build on a machine with more memory"
        )


def work() -> None:
    """What the child does: reports, and a manifest or an error; then the engine into the file that it is given."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the parent decides
    with os.fdopen(os.dup(1), "wb") as pipe:
        os.dup2(2, 1)  # what the builder prints

        def tell(thing: object) -> None:
            pickle.dump(thing, pipe)
            pipe.flush()

        plan: EnginePlan = pickle.load(sys.stdin.buffer)
        try:
            made, manifest = engine_of(plan, lambda *report: tell(report))
            tell(manifest)
            engine: Path = pickle.load(sys.stdin.buffer)
            engine.write_bytes(made)
            tell(True)
        except (ValueError, OSError, CancelledError) as error:
            tell(error)
        except MemoryError:
            remedy = "export with --layout chunked:K, or build on a machine with more memory"
            tell(ExportError(f"{plan.graph}: {plan.kind.name} runs out of memory for {plan.target}; {remedy}"))
        except Exception as error:
            tell(ExportError(f"{plan.graph}: {plan.kind.name} failed ({one_line(repr(error))}); report it"))
