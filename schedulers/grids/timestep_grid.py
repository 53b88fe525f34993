"""Grids over whole training timesteps of a variance-preserving model (DDIM, DDPM)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.spacing import Array, custom, spaced
from samplegraph.schedulers.precision import widened


def visited(steps: int, options: GridOptions) -> Array:
    """The N whole timesteps that ``options`` ask for, descending.

    Raises:
        OptionError: more steps than training timesteps, or an offset that leaves the training range.
    """
    last = options.schedule.num_train_timesteps
    if options.timesteps is not None:
        return custom(options.timesteps, last, whole=True)
    t = spaced(options.timestep_spacing, steps, last, offset=options.steps_offset, whole=True)
    if t[0] >= last:
        raise OptionError(
            f"steps_offset={options.steps_offset} puts the first of {steps} timesteps at {t[0]:g}, beyond the "
            f"last training timestep {last - 1}; give a smaller steps_offset or another timestep_spacing"
        )
    return t


def levels(options: GridOptions, t: Array, *, alpha_to_one: bool) -> torch.Tensor:
    """abar at whole timesteps ``t``, of any shape; below 0 it is 1 if ``alpha_to_one``, else that of t = 0."""
    abar = options.schedule.alphas_cumprod(options.torch_dtype)
    index = torch.from_numpy(t.astype(np.int64))
    return torch.where(index < 0, torch.ones_like(abar[0]) if alpha_to_one else abar[0], abar[index.clamp(min=0)])


def vp_grid(options: GridOptions, t: Array, t_next: Array, *, alpha_to_one: bool) -> Grid:
    """Steps from timesteps ``t`` to ``t_next``; below 0 lies abar = 1 if ``alpha_to_one``, else that of t = 0."""
    here, there = (levels(options, at, alpha_to_one=alpha_to_one) for at in (t, t_next))
    alpha, alpha_next = (widened(values**0.5) for values in (here, there))
    sigma, sigma_next = (widened((1 - values) ** 0.5) for values in (here, there))
    return Grid(
        steps=len(t),
        family="vp",
        schedule=options.schedule,
        timesteps=t,
        alpha=np.append(alpha, alpha_next[-1]),
        sigma=np.append(sigma, sigma_next[-1]),
        alpha_next=alpha_next,
        sigma_next=sigma_next,
        abar=widened(here),
        abar_next=widened(there),
        dtype=options.torch_dtype,
    )


def strided_grid(steps: int, options: GridOptions) -> Grid:
    """DDIM's grid: the step from ``t`` leads to ``t - T // N`` whatever timestep is visited next."""
    t = visited(steps, options)
    stride = options.schedule.num_train_timesteps // steps
    return vp_grid(options, t, t - stride, alpha_to_one=options.set_alpha_to_one)


def visited_grid(steps: int, options: GridOptions) -> Grid:
    """DDPM's grid: each step leads to the next visited timestep, the last to abar = 1."""
    t = visited(steps, options)
    return vp_grid(options, t, np.append(t[1:], -1.0), alpha_to_one=True)


def joined(grid: Grid) -> Grid:
    """The grid with each step leading to where the next one starts; the last stays."""
    return replace(
        grid,
        alpha_next=np.append(grid.alpha[1:-1], grid.alpha_next[-1]),
        sigma_next=np.append(grid.sigma[1:-1], grid.sigma_next[-1]),
        abar_next=np.append(grid.abar[1:], grid.abar_next[-1]),
    )
