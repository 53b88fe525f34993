"""Runs command lines one by one, each in a fork of a process that has everything imported.

A case costs some 30 ms instead of the seconds that imports take, and may crash, hang or ask for all memory: the process
that counts survives. ``python zygote.py`` reads one JSON object per line and answers with one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
#: Bytes that a case may ask for beyond what the imports take.
MEMORY = 4 << 30
#: Seconds after which a case counts as hung; generous, since other tests share the machine.
LIMIT = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a case ended. ``code`` is negative for a signal, and None where the time limit passed."""

    code: int | None
    out: str
    err: str
    seconds: float

    def blemish(self, codes: tuple[int, ...] = (0, 1, 2)) -> str | None:
        """What is wrong with this ending: anything but success, or one line and exit code 1 or 2."""
        if self.code is None:
            return f"hung for {self.seconds:.0f} s"
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        if self.code not in codes:
            return f"exit code {self.code}: {self.err}"
        if self.code and (not self.err.startswith("error: ") or self.err.count("\n") != 1 or self.out):
            return f"not one line: {self.out}{self.err}"
        if "Traceback" in self.err or "run again with --debug" in self.err:
            return f"unforeseen: {self.err}"
        if not self.code and self.err:
            return f"success with something on stderr: {self.err}"
        return None


class Zygote:
    """The parent's side."""

    def __init__(self) -> None:
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(
        self,
        arguments: list[str],
        folder: Path,
        limit: float = LIMIT,
        kill_after: float | None = None,
        kill_at: int | None = None,
        **environment: str,
    ) -> Outcome:
        """``samplegraph *arguments`` in ``folder``.

        Killed (-9) after ``kill_after`` seconds, or just before the ``kill_at``-th thing it does to a file there.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        case = {"arguments": arguments, "folder": str(folder), "limit": limit, "environment": environment}
        case |= {"kill_after": kill_after, "kill_at": kill_at}
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the zygote itself ended"
        return Outcome(**json.loads(line))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _prepare()
    for line in sys.stdin:
        answers.write(json.dumps(_fork(json.loads(line))) + "\n")
        answers.flush()


def _prepare() -> None:
    """Import everything, and make and capture each network once for all cases."""
    import onnxruntime  # noqa: F401
    import torch

    from samplegraph.export import Captures, compiler
    from samplegraph.export.cli import app, main  # noqa: F401
    from samplegraph.models import load

    torch.set_num_threads(1)
    captures, original_compile, original_load = Captures(), compiler.compile, load.load_model
    made: dict[str, Any] = {}

    def compile_quickly(*arguments: Any, **options: Any) -> Any:
        return original_compile(*arguments, **{**options, "captures": captures})

    def load_once(source: str, **options: Any) -> Any:
        if source == "cli_models:from_file" or Path(source).exists():
            return original_load(source, **options)
        if source not in made:
            made[source] = original_load(source)
        return made[source]

    compiler.compile, load.load_model = compile_quickly, load_once
    with tempfile.TemporaryDirectory() as folder:
        for options in (["cli_models:tiny"], ["cli_models:signal"]):
            common = ["export", "--scheduler", "ddim", "--steps", "1", "--no-verify", "--output", folder]
            assert main([*common, "--model", *options], program="samplegraph") == 0


def _fork(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = os.fork()
        if not child:
            _child(case, out.fileno(), err.fileno())
        status = None
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if case["kill_after"] is not None and time.monotonic() - start > case["kill_after"]:
                os.kill(child, signal.SIGKILL)
            if time.monotonic() - start > case["limit"]:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            time.sleep(0.002)
        else:
            status = os.waitstatus_to_exitcode(ended[1])
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
        return {"code": status, "out": texts[0], "err": texts[1], "seconds": time.monotonic() - start}


def _child(case: dict[str, Any], out: int, err: int) -> None:
    code = 99
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(case["folder"])
        os.environ.update(case["environment"])
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if case["kill_at"] is not None:
            _kill_at(case["kill_at"], case["folder"])
        from samplegraph.export.cli import main

        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        code = main(case["arguments"], program="samplegraph")
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(number: int, folder: str) -> None:
    """Die just before the ``number``-th file operation in ``folder``."""
    left = number
    fsync = os.fsync

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event not in ("open", "os.rename", "os.chmod", "os.remove", "fsync"):
            return
        if event != "fsync" and not os.path.abspath(str(arguments[0])).startswith(folder):
            return
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def audited_fsync(handle: int) -> None:
        hook("fsync", ())
        fsync(handle)

    os.fsync = audited_fsync
    sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
