"""From an argument list to an exit code."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

from samplegraph.export.atomic import remove_scratch_folders
from samplegraph.export.cli.errors import BROKEN_PIPE, FAILED, INTERRUPTED, describe, exit_code

COMMANDS = ("export", "run", "inspect", "verify", "plan", "build", "triton", "list")
_APP_OPTIONS = ("--version",)
_HELP = ("--help", "-h")
#: Name of the thread in which long work is done.
WORKER = "samplegraph-worker"


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Run one command.

    Exit codes: 0 done, 1 a verification failed, 2 any other error (one line on stderr; with ``--debug`` the
    traceback too), 130 interrupted.

    Args:
        arguments: without the program's name; ``sys.argv[1:]`` where None.
        program: the name it was called by; that of ``sys.argv[0]`` where None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [each for each in given if each != "--debug"]
    name = program if program is not None else Path(sys.argv[0]).stem
    try:
        code = _run(command_line(name, given))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"error: {describe(error)}", file=sys.stderr)
        code = exit_code(error)
    if code == INTERRUPTED:
        print("error: interrupted", file=sys.stderr)
        _leave_threads_behind(code)
    return code


def command_line(program: str, arguments: Sequence[str]) -> list[str]:
    """``arguments`` with the command in front.

    A bare option list means ``export``, and so does an empty one to the program ``export``. In bash and its
    kin ``export`` itself is a builtin that no program can stand in for; ``samplegraph export``,
    ``env export`` and ``python -m samplegraph.export`` reach this function.
    """
    first = arguments[0] if arguments else None
    if first in COMMANDS or first in _APP_OPTIONS:
        return list(arguments)
    if program != "export" and (first is None or first in _HELP):
        return list(arguments)
    bare = first is None or first.startswith("-")
    return ["export", *arguments] if bare else list(arguments)


def _run(arguments: list[str]) -> int:
    try:
        from samplegraph.export.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("samplegraph"):
            raise
        print(f'error: the command line needs {error.name}; pip install "samplegraph[cli]"', file=sys.stderr)
        return FAILED
    try:
        code = app(arguments, prog_name="samplegraph", standalone_mode=False)
    except SystemExit:  # how typer takes a closed pipe
        return BROKEN_PIPE
    return code if isinstance(code, int) else 0


def _leave_threads_behind(code: int) -> None:
    """End the process at once where a thread is still inside the inference engine."""
    if any(thread.name == WORKER for thread in threading.enumerate()):
        remove_scratch_folders()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
