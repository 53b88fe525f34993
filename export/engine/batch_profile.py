"""How many rows per call an engine of symbolic batch takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samplegraph.export.errors import ExportError
from samplegraph.runtime.manifest import Manifest, Tensor

ALLOWED = "give MIN:OPT:MAX, whole numbers from 1 that do not fall, such as 1:4:8"


@dataclass(frozen=True)
class BatchProfile:
    """Smallest, best and largest number of rows of a call.

    Raises:
        ExportError: below 1, or they fall.
    """

    smallest: int
    best: int
    largest: int

    def __post_init__(self) -> None:
        if not 1 <= self.smallest <= self.best <= self.largest:
            raise ExportError(f"batch={self} is not allowed; {ALLOWED}")

    def __str__(self) -> str:
        return f"{self.smallest}:{self.best}:{self.largest}"

    @classmethod
    def parse(cls, text: str) -> BatchProfile:
        """``1:4:8``.

        Raises:
            ExportError: not three whole numbers that do not fall.
        """
        parts = text.split(":")
        if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
            raise ExportError(f"batch={text} is not allowed; {ALLOWED}")
        return cls(*map(int, parts))

    def shapes(self, tensor: Tensor) -> list[tuple[int, ...]]:
        """The shapes of an input at the three sizes."""
        sizes = (self.smallest, self.best, self.largest)
        return [tuple(axis if isinstance(axis, int) else rows for axis in tensor.shape) for rows in sizes]


#: For graphs of symbolic batch where none is given: the kernels are chosen for one row, up to eight are taken.
DEFAULT_BATCH = BatchProfile(1, 1, 8)


def profile_for(file: Path, manifest: Manifest, given: BatchProfile | None) -> BatchProfile | None:
    """The profile of a graph; None where its batch is static.

    Raises:
        ExportError: one is given for a graph of static batch.
    """
    if manifest.batch is None:
        return given or DEFAULT_BATCH
    if given is not None:
        raise ExportError(
            f"batch={given}: {file} always takes {manifest.batch} rows; leave it out, or export with --batch dynamic"
        )
    return None
