"""The layouts of a sampler: one graph, chunks of steps, one graph called again and again, or an ONNX ``Loop``."""

from __future__ import annotations

from dataclasses import dataclass

from samplegraph.export.errors import ExportError

KINDS = ("unrolled", "chunked:K", "repeated:K", "step", "loop")


@dataclass(frozen=True)
class Layout:
    """``kind`` is ``unrolled``, ``chunked``, ``repeated``, ``step`` or ``loop``; ``size`` is K: the steps of a chunk,
    or the evaluations of a call.
    """

    kind: str = "unrolled"
    size: int = 0

    @property
    def suffix(self) -> str:
        """What a file stem is extended by."""
        return "" if self.kind == "unrolled" else f"-{self.kind}{self.size or ''}"

    @property
    def is_recurrent(self) -> bool:
        """Whether the sampler is run from a table of coefficients."""
        return self.kind in ("step", "loop", "repeated")

    @property
    def takes_more(self) -> bool:
        """Whether one graph serves several numbers of steps."""
        return self.kind in ("step", "repeated")

    def __str__(self) -> str:
        return f"{self.kind}:{self.size}" if self.size else self.kind


def parse_layout(text: str) -> Layout:
    """``unrolled``, ``chunked:5``, ``repeated:5``, ``step`` or ``loop``.

    Raises:
        ExportError: anything else.
    """
    if text in ("unrolled", "step", "loop"):
        return Layout(text)
    kind, colon, size = text.partition(":")
    if kind in ("chunked", "repeated") and colon and size.isdecimal() and 1 <= int(size) <= 10_000:
        return Layout(kind, int(size))
    raise ExportError(f"layout={text!r} is not known; choose one of {', '.join(KINDS)} (K steps each, such as 5)")
