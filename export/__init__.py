"""The compiler and its command line. ``compile`` and ``Program`` are loaded when first used: they need torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samplegraph.export.errors import ExportError, VerificationError

if TYPE_CHECKING:
    from samplegraph.export.compiler import compile
    from samplegraph.export.denoiser.capture import Captures
    from samplegraph.export.program import Program, Report

__all__ = ["Captures", "ExportError", "Program", "Report", "VerificationError", "compile"]


def __getattr__(name: str) -> Any:
    if name == "compile":
        from samplegraph.export import compiler

        return compiler.compile
    if name == "Captures":
        from samplegraph.export.denoiser import capture

        return capture.Captures
    if name in ("Program", "Report"):
        from samplegraph.export import program

        return getattr(program, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
