"""PNDM's grid: visited timesteps, and the transfers between them."""

from __future__ import annotations

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import GridOptions
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.spacing import Array
from samplegraph.schedulers.timestep_grid import levels, visited

WARM_UP = 3


def pndm_grid(steps: int, options: GridOptions) -> Grid:
    """The N visited timesteps, then, for the Runge-Kutta warm-up, the three in the middle of the first steps.

    ``own`` holds abar where each of up to three transfers of a step starts and ends, (N, 3): two trial ones and, last,
    the step's own. A step leads to ``t - T // N``, in the warm-up to the next visited timestep.

    Raises:
        OptionError: fewer than 4 steps with the Runge-Kutta warm-up.
    """
    t = visited(steps, options)
    stride = options.schedule.num_train_timesteps // steps
    start, end = np.repeat(t[:, None], 3, axis=1), np.repeat(t[:, None] - stride, 3, axis=1)
    middle = np.empty(0)
    if not options.skip_prk_steps:
        if steps <= WARM_UP:
            raise OptionError(
                f"steps={steps} is too few for the Runge-Kutta warm-up of pndm; give at least 4 or skip_prk_steps=True"
            )
        middle = t[1 : WARM_UP + 1] + stride // 2
        end[:WARM_UP] = np.stack([t[:WARM_UP] - stride // 2, middle, t[1 : WARM_UP + 1]], axis=1)
    elif steps > 1:
        start[0, 2], end[0, 2] = t[1] + stride, t[1]

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
