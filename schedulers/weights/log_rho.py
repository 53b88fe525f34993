"""Weights of DEIS: polynomials in the logarithm of rho = sigma/alpha, integrated over rho."""

from __future__ import annotations

import numpy as np
import torch

from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.precision import floats


def log_rho_weights(grid: Grid, order: int) -> list[list[float]]:
    """Integrals over rho = sigma/alpha, along each step, of the ``order`` Lagrange polynomials in log rho through the
    latest points, newest first, for order 2 or 3; by diffusers' own antiderivatives."""
    rho = grid.tensor("sigma") / grid.tensor("alpha")
    log = torch.from_numpy(np.log(rho.numpy()))
    nodes = [log.roll(k)[:-1] for k in range(order)]
    rows = []
    for k, node in enumerate(nodes):
        others = [nodes[(k + j) % order] for j in range(1, order)]
        rows.append(_integral(rho, log, node, others, slice(1, None)) - _integral(rho, log, node, others, slice(-1)))
    return [floats(row) for row in rows]


def _integral(
    rho: torch.Tensor, log: torch.Tensor, node: torch.Tensor, others: list[torch.Tensor], at: slice
) -> torch.Tensor:
    """Antiderivative at points ``at`` of the polynomial that is 1 at ``node`` and 0 at ``others``."""
    t, u, c, d = rho[at], log[at], others[0], others[-1]
    if len(others) == 1:
        return t * (-c + u - 1) / (node - c)
    return t * (c * (d - u + 1) - d * u + d + u**2 - 2 * u + 2) / ((node - c) * (node - d))
