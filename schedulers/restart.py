"""Restart sampling."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, in_range, whole
from samplegraph.schedulers.grids.grid import Array
from samplegraph.schedulers.grids.midpoint_grid import at_sigmas
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS
from samplegraph.schedulers.grids.respacing import karras
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.steps.first_order import slope


class Restart(Scheduler):
    """Heun's method that goes back to a larger sigma by adding noise and comes down again, Xu et al. 2023
    (arXiv:2306.14878), Algorithm 1 with one interval, laid out as A1111's sampler does it.

    N counts all steps. The first way down takes those that the restarts leave, over Karras sigmas between the ends of
    the grid; then the way from about ``restart_max`` to about ``restart_min`` is taken ``restart_times`` times more,
    over Karras sigmas too. Without restarts it is ``heun``. 2 NFE per step and 1 in the last: 2N - 1. 1 noise per
    restart. Order 2.

    Args:
        restart_steps: steps of each further way down; None takes A1111's: none below 20 steps, 9, from 36 on N // 4.
        restart_times: number of them; None takes A1111's: 1, from 36 steps on 2.
        restart_min, restart_max: between which sigmas; the nearest ones of the first way are taken.
        s_noise: factor of the noise.
    """

    paper = "arXiv:2306.14878"
    order = 2
    no_start = "where it goes back is laid out for all of its steps"
    grid_defaults = {k: v for k, v in SIGMA_DEFAULTS.items() if k not in ("timesteps", "sigmas")}
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        restart_steps: int | None = None,
        restart_times: int | None = None,
        restart_min: float = 0.1,
        restart_max: float = 2.0,
        s_noise: float = 1.0,
    ) -> None:
        self.s_noise = in_range("s_noise", s_noise, 0.0, 100.0)
        low, high = in_range("restart_min", restart_min, 0.0, 1e6), in_range("restart_max", restart_max, 0.0, 1e6)
        if not low < high:
            raise OptionError(f"restart_min={low:g} has to lie below restart_max={high:g}; give a smaller one")
        n = grid.steps
        own = (0 if n < 20 else 9 if n < 36 else n // 4) if restart_steps is None else restart_steps
        down, times = whole("restart_steps", own, 0), (1 if n < 36 else 2) if restart_times is None else restart_times
        again = down * whole("restart_times", times, 0)
        if again and again > n - 2:
            raise OptionError(
                f"restart_steps={down} and restart_times={times} leave {n - again} of {n} steps for the first way "
                "down; give at least 2 more steps than their product"
            )
        ways = _ways(grid.sigma, down if again else 0, times, low, high)
        starts, ends = (np.concatenate(part) for part in zip(*((way[:-1], way[1:]) for way in ways), strict=True))
        apart = np.flatnonzero(ends[:-1] != starts[1:])
        self.ahead = {int(i): n + k for k, i in enumerate(apart)}
        self.ends = floats(torch.from_numpy(ends))
        self.raised = [sqrt(starts[i + 1] ** 2 - ends[i] ** 2) if i in self.ahead else 0.0 for i in range(n)]
        made = at_sigmas(grid, torch.from_numpy(np.append(starts, ends[apart])).to(grid.dtype), float(grid.sigma[-1]))
        leads = np.append(starts[1:], np.repeat(ends[-1:], 1 + len(apart)))
        super().__init__(replace(made, sigma_next=leads, alpha_next=np.ones(len(leads))), prediction)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        sigma, sigma_next = float(self.grid.sigma[i]), self.ends[i]
        first = slope(x, denoise(x, i).x0, sigma)
        ahead = x + (sigma_next - sigma) * first
        if i + 1 == self.steps:
            return ahead, state
        point = self.ahead.get(i, i + 1)
        x = x + (sigma_next - sigma) * (first + slope(ahead, denoise(ahead, point).x0, sigma_next)) / 2.0
        return (x + (self.raised[i] * self.s_noise) * noise() if self.raised[i] else x), state


def _ways(sigma: Array, down: int, times: int, low: float, high: float) -> list[Array]:
    """Sigmas of each way down, its end included; the first one goes on to the end behind the others.

    Raises:
        OptionError: the interval holds no step of the first way.
    """
    if not down:
        return [sigma]
    first = np.append(karras(sigma[0], sigma[-2], len(sigma) - 1 - down * times), sigma[-1])
    bottom, top = (int(np.abs(first[:-1] - bound).argmin()) for bound in (low, high))
    if not top < bottom:
        raise OptionError(
            f"restart_min={low:g} and restart_max={high:g} hold no step: the first way down has sigmas from "
            f"{first[0]:g} to {first[-2]:g}, nearest {first[bottom]:g} and {first[top]:g}; give more steps or a wider "
            "interval"
        )
    return [first[: bottom + 1], *[karras(first[top], first[bottom], down + 1)] * times, first[bottom:]]
