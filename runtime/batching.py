"""M samples through a graph of static batch B: ceil(M / B) calls, the last one padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from samplegraph.runtime.inputs import Array, row_axis
from samplegraph.runtime.manifest import Tensor
from samplegraph.runtime.request import Request


def split(
    request: Request, inputs: Sequence[Tensor], batch: int | None
) -> Iterator[tuple[int, dict[str, Array]]]:
    """``(rows, feed)`` per call: the first ``rows`` rows of its output count, the others are padding.

    Padding repeats the last row. A graph whose batch axis is symbolic (``batch=None``) is called once.
    """
    size = batch or request.samples
    for start in range(0, request.samples, size):
        rows = min(size, request.samples - start)
        picked = np.minimum(np.arange(start, start + size), request.samples - 1)
        whole = rows == size == request.samples
        yield rows, {t.name: request.arrays[t.name] if whole else _rows(t, request, picked) for t in inputs}


def calls(samples: int, batch: int | None) -> int:
    """The number of calls that ``split`` makes."""
    return -(-samples // (batch or samples))


def _rows(tensor: Tensor, request: Request, picked: Array) -> Array:
    axis = row_axis(tensor)
    array = request.arrays[tensor.name]
    return array if axis is None else np.take(array, picked, axis=axis)
