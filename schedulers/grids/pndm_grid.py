"""PNDM's grid: visited timesteps, and the transfers between them."""

from __future__ import annotations

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.spacing import Array
from samplegraph.schedulers.grids.timestep_grid import levels, visited
from samplegraph.schedulers.precision import widened

WARM_UP = 3


def pndm_grid(steps: int, options: GridOptions) -> Grid:
    """The N visited timesteps, then, for the Runge-Kutta warm-up, the three in the middle of the first steps taken.

    ``own`` holds abar where each of up to three transfers of a step starts and ends, (N, 3): two trial ones and, last,
    the step's own. A step leads to ``t - T // N``, in the warm-up to the next visited timestep.

    Raises:
        OptionError: fewer than 4 steps with the Runge-Kutta warm-up.
    """
    first = options.begin
    warm = slice(first, first + WARM_UP)
    t = visited(steps, options)
    stride = options.schedule.num_train_timesteps // steps
    start, end = np.repeat(t[:, None], 3, axis=1), np.repeat(t[:, None] - stride, 3, axis=1)
    middle = np.empty(0)
    if not options.skip_prk_steps:
        if steps - first <= WARM_UP:
            asked = f"begin={first} leaves {steps - first} of {steps} steps, which" if first else f"steps={steps}"
            raise OptionError(
                f"{asked} is too few for the Runge-Kutta warm-up of pndm; leave at least 4 or give skip_prk_steps=True"
            )
        after = t[first + 1 : first + 1 + WARM_UP]
        middle = after + stride // 2
        end[warm] = np.stack([t[warm] - stride // 2, middle, after], axis=1)
    elif steps - first > 1:
        start[first, 2], end[first, 2] = t[first + 1] + stride, t[first + 1]

    def level(at: Array) -> torch.Tensor:
        return levels(options, at, alpha_to_one=options.set_alpha_to_one)

    points = np.concatenate([t, middle])
    here = torch.cat([level(points), level(end[-1:, 2])])
    there = torch.cat([level(end[:, 2]), level(np.repeat(end[-1:, 2], len(middle)))])
    return Grid(
        steps=steps,
        family="vp",
        schedule=options.schedule,
        timesteps=points,
        alpha=widened(here**0.5),
        sigma=widened((1 - here) ** 0.5),
        alpha_next=widened(there**0.5),
        sigma_next=widened((1 - there) ** 0.5),
        own={"abar_start": widened(level(start)), "abar_end": widened(level(end))},
        dtype=options.torch_dtype,
    )
