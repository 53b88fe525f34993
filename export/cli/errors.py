"""What a user is told when something goes wrong: one line, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from samplegraph.export.errors import VerificationError
from samplegraph.runtime import InputError

UNVERIFIED = 1
FAILED = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


def describe(error: BaseException) -> str:
    """One line for ``error``."""
    if isinstance(error, ValueError) and type(error).__module__.startswith("samplegraph."):
        text = str(error)
    elif is_usage(error):
        text = error.format_message()  # type: ignore[attr-defined]
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, MemoryError):
        text = f"out of memory ({error}); give fewer samples or a smaller batch"
    else:
        text = f"unexpected {type(error).__name__}: {error}; run again with --debug and report it"
    return " ".join(text.split())


def exit_code(error: BaseException) -> int:
    """1 for a failed verification, 130 for an interrupt, 2 for all else."""
    if isinstance(error, VerificationError):
        return UNVERIFIED
    return INTERRUPTED if type(error).__name__ == "Abort" else FAILED


def is_usage(error: BaseException) -> bool:
    """Whether ``error`` is about the command line itself; newer typer carries a click of its own."""
    return any(cls.__name__ == "ClickException" for cls in type(error).__mro__)


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Turn a failed import into an error that names the extra to install.

    Raises:
        InputError: a module is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("samplegraph"):
            raise
        raise InputError(f'{what} needs {error.name}; pip install "samplegraph[{extra}]"') from error
