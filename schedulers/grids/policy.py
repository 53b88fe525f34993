"""A policy between two evaluations: outputs on a grid of times, and what integrating them makes of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError, in_range, whole
from samplegraph.schedulers.grids.grid import Array


@dataclass(frozen=True)
class FlowPolicy:
    """The DX policy of pi-Flow, Chen et al. 2025 (arXiv:2510.14974), section 3.2, on one segment of a straight path.

    The network gives x0 at ``n_grid`` times of the segment, the last of which is its start; between them x0 is
    interpolated. The segment is integrated by Euler steps, ``num_policy_substeps`` for a raw time of 1. Segments are
    even in raw time, the last one shorter by ``final_step_size_scale``; the path ends at raw time ``eps``.

    Raises:
        OptionError: a value out of range.
    """

    n_grid: int = 10
    eps: float = 1e-6
    final_step_size_scale: float = 0.5
    num_policy_substeps: int = 128

    def __post_init__(self) -> None:
        whole("n_grid", self.n_grid, 2, 1000)
        whole("num_policy_substeps", self.num_policy_substeps, 1, 100_000)
        for name, most in (("eps", 0.1), ("final_step_size_scale", 1.0)):
            if in_range(name, getattr(self, name), 0.0, most) == 0:
                raise OptionError(f"{name}={getattr(self, name)!r} is not allowed; give a number above 0")

    def times(self, steps: int, dtype: torch.dtype) -> torch.Tensor:
        """Raw times (N + 1,) at which the segments start, and where the last one ends."""
        segment = 1.0 / (steps - (1.0 - self.final_step_size_scale))
        starts = 1.0 - torch.arange(steps, dtype=dtype) * segment
        return torch.cat([starts, starts.new_full((1,), self.eps)])

    def weights(self, start: torch.Tensor, end: torch.Tensor, shift: float) -> Array:
        """Share of each of the outputs (n,) in the mean whose Euler step spans the whole segment; they sum to 1.

        A substep from sigma to s keeps ``s / sigma`` of the sample and takes the rest from the x0 at its time.
        """
        raw, sigma = start, moved(start, shift)
        first = sigma / (shift + (1 - shift) * sigma)
        low = (first - (start - end)).clamp(min=0)
        length = (first - low).clamp(min=self.eps)
        count = int(((start - end) * self.num_policy_substeps).round().clamp(min=1))
        size, shares = (start - end) / count, np.zeros(self.n_grid)
        for _ in range(count):
            at = (sigma / (shift + (1 - shift) * sigma) - low) / length
            place = float(at.clamp(min=0, max=1)) * (self.n_grid - 1)
            below = min(int(place), self.n_grid - 2)
            raw = (raw - size).clamp(min=0)
            following = moved(raw, shift)
            taken = float(sigma - following) / max(float(sigma), self.eps)
            shares *= 1 - taken
            shares[below] += taken * (below + 1 - place)
            shares[below + 1] += taken * (place - below)
            sigma = following
        return np.asarray(shares / shares.sum())


def moved(raw: torch.Tensor, shift: float) -> torch.Tensor:
    """Sigmas of raw times."""
    return shift * raw / (1 + (shift - 1) * raw)
