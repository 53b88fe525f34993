"""The layouts of a sampler: as one graph, in chunks of steps, one evaluation at a time, or as an ONNX ``Loop``."""

from __future__ import annotations

from dataclasses import dataclass

from samplegraph.export.errors import ExportError

KINDS = ("unrolled", "chunked:K", "step", "loop")


@dataclass(frozen=True)
class Layout:
    """``kind`` is ``unrolled``, ``chunked``, ``step`` or ``loop``; ``size`` is the number of steps of a chunk."""

    kind: str = "unrolled"
    size: int = 0

    @property
    def suffix(self) -> str:
        """What a file stem is extended by."""
        return "" if self.kind == "unrolled" else f"-{self.kind}{self.size or ''}"

    @property
    def is_recurrent(self) -> bool:
        """Whether the sampler is run from a table of coefficients."""
        return self.kind in ("step", "loop")

    def __str__(self) -> str:
        return f"chunked:{self.size}" if self.kind == "chunked" else self.kind


def parse_layout(text: str) -> Layout:
    """``unrolled``, ``chunked:5``, ``step`` or ``loop``.

    Raises:
        ExportError: anything else.
    """
    if text in ("unrolled", "step", "loop"):
        return Layout(text)
    kind, colon, size = text.partition(":")
    if kind == "chunked" and colon and size.isdecimal() and 1 <= int(size) <= 10_000:
        return Layout("chunked", int(size))
    raise ExportError(f"layout={text!r} is not known; choose one of {', '.join(KINDS)} (K steps per file, such as 5)")
