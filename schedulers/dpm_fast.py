"""DPM-Solver-fast."""

from __future__ import annotations

from math import exp, expm1, log, sqrt

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range
from samplegraph.schedulers.grids.midpoint_grid import at_sigmas
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.ancestral import ancestral


class DPMFast(Scheduler):
    """Singlestep DPM-Solver on groups of equal length in log sigma, k-diffusion's ``sample_dpm_fast``.

    Lu et al. 2022 (arXiv:2206.00927), Algorithms 1 and 2, section 3.4: groups of three evaluations, of order 3, and a
    shorter one or two at the end. A step is one evaluation within a group, so 1 NFE per step; with ``eta`` 1 noise per
    group. It runs from the largest sigma of the grid to its smallest above 0. Order 2, because of the last group;
    ``dpm_singlestep`` with ``dpmsolver`` is the same on groups of the grid's steps.

    Args:
        eta: share of the ancestral noise, 0 to 1.
        s_noise: factor of the noise.
    """

    k_diffusion = "sample_dpm_fast"
    paper = "arXiv:2206.00927"
    order = 2
    no_start = "its steps belong to groups"
    grid_defaults = SIGMA_DEFAULTS
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, eta: float = 0.0, s_noise: float = 1.0
    ) -> None:
        self.eta, self.s_noise = in_range("eta", eta, 0.0, 1.0), in_range("s_noise", s_noise, 0.0, 100.0)
        high, low = float(grid.sigma[0]), float(grid.sigma[grid.sigma > 0][-1])
        orders = group_orders(grid.steps)
        ends = np.exp(np.linspace(log(high), log(low), len(orders) + 1))
        self.first: list[bool] = []
        self.rows: list[tuple[float, float]] = []
        self.std: list[float | None] = []
        points: list[float] = []
        for order, start, end in zip(orders, ends, ends[1:], strict=False):
            down = max(low, float(ancestral(torch.tensor(start), torch.tensor(end), self.eta)[0]))
            h = log(start / down)
            for k in range(order):
                points.append(float(start) * exp(-h * k / order))
                self.first.append(k == 0)
                self.rows.append(_row(order, k, float(start), h))
                self.std.append(sqrt(max(0.0, end**2 - down**2)) if self.eta and k == order - 1 else None)
        super().__init__(at_sigmas(grid, torch.tensor(points, dtype=grid.dtype), low), prediction)

    def init(self, x: X) -> State[X]:
        """The sample and the eps at the start of the group."""
        return (x * 0.0,) * 2

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        eps, (keep, change), std = denoise(x, i).eps, self.rows[i], self.std[i]
        start, early = (x, eps) if self.first[i] else state
        x = start + keep * early
        if not self.first[i]:
            x = x + change * (eps - early)
        return (x if std is None else x + (std * self.s_noise) * noise()), (start, early)


def group_orders(steps: int) -> list[int]:
    """Orders of the groups that take ``steps`` evaluations in all; the last one is short."""
    count = steps // 3 + 1
    return [3] * (count - 2) + [2, 1] if steps % 3 == 0 else [3] * (count - 1) + [steps % 3]


def _row(order: int, k: int, start: float, h: float) -> tuple[float, float]:
    """Weights of the group's first eps and of its change, after evaluation ``k`` of a group of length ``h``."""
    share = (k + 1) / order
    end, z = start * exp(-share * h), share * h
    if k == 0:
        return -end * expm1(z), 0.0
    if order == 2:
        return -end * expm1(z), -end * expm1(z)
    at = k / order  # where the newest eps was evaluated, in units of the group
    return -end * expm1(z), -end * (share / at) * (expm1(z) / z - 1)
