"""M samples through a graph that takes so many rows per call: the least number of calls, the last one padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from samplegraph.runtime.inputs import Array, row_axis
from samplegraph.runtime.manifest import Manifest, Tensor
from samplegraph.runtime.request import Request
from samplegraph.runtime.values import Value, take


@dataclass(frozen=True)
class Rows:
    """The fewest and the most rows of a call; None for no limit."""

    fewest: int
    most: int | None

    @classmethod
    def of(cls, manifest: Manifest) -> Rows:
        """Those of a graph: all of a static batch. An engine has a smallest and a largest batch."""
        if manifest.batch is not None:
            return cls(manifest.batch, manifest.batch)
        built = manifest.engine.batch if manifest.engine is not None else ()
        return cls(built[0], built[-1]) if built else cls(1, None)

    def calls(self, samples: int) -> int:
        """How many calls M samples take."""
        return -(-samples // (self.most or samples))


def split(request: Request, inputs: Sequence[Tensor], allowed: Rows) -> Iterator[tuple[int, dict[str, Value]]]:
    """``(rows, feed)`` per call: the first ``rows`` rows of its output count, the others are padding.

    Padding repeats the last row.
    """
    most = allowed.most or request.samples
    for start in range(0, request.samples, most):
        rows = min(most, request.samples - start)
        size = max(rows, allowed.fewest)
        picked = np.minimum(np.arange(start, start + size), request.samples - 1)
        whole = rows == size == request.samples
        yield rows, {t.name: request.arrays[t.name] if whole else _rows(t, request, picked) for t in inputs}


def _rows(tensor: Tensor, request: Request, picked: Array) -> Value:
    axis = row_axis(tensor)
    value = request.arrays[tensor.name]
    return value if axis is None else take(value, picked, axis)
