"""TensorRT and TensorRT-RTX as Python packages: one interface under two names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from samplegraph.runtime.errors import InputError, one_line

_MODULES = {"tensorrt-rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}


def load_library(file: Path, builder: str) -> Any:
    """The module that loads engines of ``builder``.

    Raises:
        InputError: it is not known, not installed, or its libraries do not load.
    """
    if builder not in _MODULES:
        raise InputError(f"{file}: is an engine of {builder!r}, which this runtime does not know; update samplegraph")
    try:
        return import_module(_MODULES[builder])
    except Exception as error:  # a missing library shows as OSError, ImportError or RuntimeError
        vendor = " and NVIDIA's TensorRT libraries, which come from the vendor" if builder == "tensorrt" else ""
        raise InputError(
            f"{file}: needs {builder}, which cannot be imported ({one_line(error, 120)}); "
            f'pip install "samplegraph[{builder}]"{vendor}'
        ) from error


def error_log(trt: Any) -> tuple[Any, list[str]]:
    """A logger for ``trt``, and the list that it writes errors to."""
    errors: list[str] = []

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                errors.append(message)

    return Log(), errors


def said(errors: Sequence[str]) -> str:
    """The first error as one line, or a word for none."""
    return one_line(errors[0]) if errors else "it gives no reason"
