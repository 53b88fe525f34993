"""The posterior q(x_{t'} | x_t, x0) of a variance-preserving process, Ho et al. 2020 (arXiv:2006.11239), eq. 6, 7."""

from __future__ import annotations

from typing import Any

import torch

from samplegraph.schedulers.base import Grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.tensors import on_tensors


class Posterior:
    """Its mean is ``weight_x0 * x0 + weight_x * x``; ``std`` is its deviation, ``std_large`` that of the noise which
    the forward process adds, rows of floats over the steps."""

    def __init__(self, grid: Grid, betas: torch.Tensor | None = None) -> None:
        """``betas`` (N,) of training replace ``1 - abar/abar'`` where they are not NaN."""
        abar, abar_next = grid.tensor("abar"), grid.tensor("abar_next")
        kept = abar / abar_next
        added = 1 - kept
        if betas is not None:
            added = torch.where(betas.isnan(), added, betas)
            kept = torch.where(betas.isnan(), 1 - added, 1 - betas)
        self.weight_x0 = floats(abar_next**0.5 * added / (1 - abar))
        self.weight_x = floats(kept**0.5 * (1 - abar_next) / (1 - abar))
        posterior = ((1 - abar_next) / (1 - abar) * added).clamp(min=1e-20)
        self.std, self.std_large = floats(posterior**0.5), floats(added**0.5)
        self.log_small, self.log_large = floats(posterior.log()), floats(added.log())

    def std_between(self, i: int, share: Any) -> Any:
        """The deviation that a network gives by ``share`` in [-1, 1] between the logarithms of the small and the large
        variance (arXiv:2102.09672, eq. 15)."""
        return on_tensors(_between, share, self.log_small[i], self.log_large[i])


def _between(share: torch.Tensor, log_small: torch.Tensor, log_large: torch.Tensor) -> torch.Tensor:
    share = (share + 1) / 2
    return torch.exp(0.5 * (share * log_large + (1 - share) * log_small))
