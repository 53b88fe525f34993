"""What a builder is told beside the graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samplegraph.export.engine.batch_profile import BatchProfile
from samplegraph.export.errors import ExportError

LEVELS = range(6)


@dataclass(frozen=True)
class BuildSettings:
    """Precision is not among them: networks are strongly typed, and it is the graph's.

    Args:
        batch: rows per call, for a graph of symbolic batch; None for the default there.
        timing_cache: file of measured kernels, read if it is there and written after the build; ``tensorrt`` only.
        workspace_mb: most scratch memory of one layer in MB (2**20 bytes); None for the builder's limit.
        max_aux_streams: further CUDA streams that the engine may use; 0 keeps its scratch memory small.
        optimization_level: 0 (builds fastest) to 5 (runs fastest); None for the builder's own.
        version_compatible: later versions of the builder's library run the engine too; it carries a runtime of its own.
        refittable: weights can be changed in the finished engine.

    Raises:
        ExportError: a number out of its range.
    """

    batch: BatchProfile | None = None
    timing_cache: Path | None = None
    workspace_mb: int | None = None
    max_aux_streams: int = 0
    optimization_level: int | None = None
    version_compatible: bool = False
    refittable: bool = False

    def __post_init__(self) -> None:
        if self.workspace_mb is not None and not 1 <= self.workspace_mb < 1 << 40:
            raise ExportError(f"workspace={self.workspace_mb} is not allowed; give MB, a whole number of at least 1")
        if not 0 <= self.max_aux_streams <= 64:
            raise ExportError(f"max_aux_streams={self.max_aux_streams} is not allowed; give 0 to 64")
        if self.optimization_level is not None and self.optimization_level not in LEVELS:
            raise ExportError(f"optimization_level={self.optimization_level} is not allowed; give 0 to {LEVELS[-1]}")
