"""Grids over whole training timesteps of a variance-preserving model (DDIM, DDPM)."""

from __future__ import annotations

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import GridOptions
from samplegraph.schedulers.spacing import Array, custom, spaced


def visited(steps: int, options: GridOptions) -> Array:
    """The N whole timesteps that ``options`` ask for, descending.

    Raises:
        OptionError: more steps than training timesteps, or an offset that leaves the training range.
    """
    last = options.schedule.num_train_timesteps
    if options.timesteps is not None:
        return custom(options.timesteps, last)
    if steps > last:
        raise OptionError(f"steps={steps} is more than num_train_timesteps={last}; give at most {last}")
    t = spaced(options.timestep_spacing, steps, last, offset=options.steps_offset, whole=True)
    if t[0] >= last:
        raise OptionError(
            f"steps_offset={options.steps_offset} puts the first of {steps} timesteps at {t[0]:g}, beyond the last "
            f"training timestep {last - 1}; give a smaller steps_offset or another timestep_spacing"
        )
    return t


def vp_tables(options: GridOptions, t: Array, *, final: bool) -> tuple[Array, Array]:
    """``(alpha, sigma)`` at timesteps ``t``; where t < 0 the final values: (1, 0) if ``final``, else those of t=0."""
    abar = options.schedule.alphas_cumprod(options.torch_dtype)
    index = torch.from_numpy(np.maximum(t, 0).astype(np.int64))
    values = abar[index]
    values = torch.where(torch.from_numpy(t < 0), torch.ones_like(values) if final else abar[0], values)
    return (values**0.5).double().numpy(), ((1 - values) ** 0.5).double().numpy()


def strided_grid(steps: int, options: GridOptions) -> Grid:
    """DDIM's grid: the step from ``t`` leads to ``t - T // N`` whatever timestep is visited next."""
    t = visited(steps, options)
    alpha, sigma = vp_tables(options, t, final=options.set_alpha_to_one)
    stride = options.schedule.num_train_timesteps // steps
    alpha_next, sigma_next = vp_tables(options, t - stride, final=options.set_alpha_to_one)
    return Grid(
        steps=steps,
        family="vp",
        schedule=options.schedule,
        timesteps=t,
        alpha=np.append(alpha, alpha_next[-1]),
        sigma=np.append(sigma, sigma_next[-1]),
        alpha_next=alpha_next,
        sigma_next=sigma_next,
    )
