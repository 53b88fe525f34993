"""One request through a driver, in as many calls as its rows take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from samplegraph.runtime.batching import Rows, split
from samplegraph.runtime.driver import Driver, Position
from samplegraph.runtime.errors import CancelledError
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.device_array import DeviceArray
from samplegraph.runtime.inputs import Array
from samplegraph.runtime.manifest import Manifest
from samplegraph.runtime.request import Request
from samplegraph.runtime.values import Value, host

Progress = Callable[[int, int], object]
Preview = Callable[[int, Array], object]


@dataclass(frozen=True)
class Watching:
    """A caller's callbacks, see ``Engine``; None for none."""

    progress: Progress | None
    preview: Preview | None


def to_host(driver: Driver, manifest: Manifest, request: Request, watching: Watching, cuda: Cuda | None) -> Array:
    """The samples, (M, ...).

    Args:
        cuda: the GPU that the driver runs on, if it does.

    Raises:
        InputError: the engine fails.
        CancelledError: a callback returned False.
    """
    parts = [host(sample)[:rows] for rows, sample in _calls(driver, manifest, request, watching, cuda)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def to_device(driver: Driver, manifest: Manifest, request: Request, watching: Watching, cuda: Cuda) -> DeviceArray:
    """The samples, (M, ...), in new memory of the GPU; they may still be computed.

    Raises:
        InputError: the engine fails.
        CancelledError: a callback returned False.
    """
    made = cuda.empty((request.samples, *manifest.sample_shape), manifest.result.dtype)
    first = 0
    for rows, sample in _calls(driver, manifest, request, watching, cuda):
        assert isinstance(sample, DeviceArray)
        part = made[first : first + rows]
        cuda.move(part.address, sample.address, part.nbytes)
        first += rows
    return made


def _calls(
    driver: Driver, manifest: Manifest, request: Request, watching: Watching, cuda: Cuda | None
) -> Iterator[tuple[int, Value]]:
    """``(rows, sample)`` of each call: its first ``rows`` rows count."""
    allowed, done = Rows.of(manifest), count(1)
    total = allowed.calls(request.samples) * driver.stops
    progress, preview = watching.progress, watching.preview
    for rows, feed in split(request, manifest.sampler_inputs, allowed):

        def watch(position: Position, rows: int = rows) -> None:
            if cuda is not None and progress is not None:
                cuda.wait()  # what is counted is done
            go_on = progress(next(done), total) if progress is not None else None
            if preview is not None and position.x0 is not None and go_on is not False:
                go_on = preview(position.step, host(position.x0)[:rows])
            if go_on is False:
                raise CancelledError(f"{manifest.name}: stopped after step {position.step + 1}")

        yield rows, driver.run(feed, watch)
