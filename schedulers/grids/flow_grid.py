"""Grids on the straight path of flow matching: ``x = (1 - sigma) x0 + sigma eps`` (arXiv:2210.02747)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.flow_shift import FlowShift
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.sigmas import respaced
from samplegraph.schedulers.grids.spacing import numbers, shown
from samplegraph.schedulers.grids.training import FlowSchedule
from samplegraph.schedulers.precision import widened

#: Options of every flow-matching scheduler, with their defaults.
PLAIN_FLOW_DEFAULTS: Mapping[str, object] = {"num_train_timesteps": 1000, "shift": 1.0, "exact_tables": False}
#: Those, dynamic shifting, respacing and custom tables.
FLOW_DEFAULTS: Mapping[str, object] = {
    **PLAIN_FLOW_DEFAULTS,
    **{f.name: f.default for f in fields(FlowShift)},
    "respacing": None,
    "timesteps": None,
    "sigmas": None,
}


def flow_ends(options: GridOptions) -> tuple[float, float]:
    """The largest and smallest sigma of training, moved by the constant shift."""
    total = options.schedule.num_train_timesteps
    ends = torch.tensor([total, 1.0], dtype=options.torch_dtype) / total
    high, low = ends if options.flow.use_dynamic_shifting else options.flow.constant(ends)
    return float(high), float(low)


def flow_sigmas(steps: int, options: GridOptions) -> npt.NDArray[np.floating[Any]]:
    """The N sigmas, descending. As in diffusers the constant shift is applied to both ends and then once more.

    Raises:
        OptionError: custom tables that do not descend within (0, 1], or a shift that gives NaN.
    """
    total, flow = options.schedule.num_train_timesteps, options.flow
    if options.sigmas is not None:
        sigmas = custom_table("sigmas", options.sigmas, 1.0).astype(options.numpy_dtype)
    elif options.timesteps is not None:
        sigmas = custom_table("timesteps", options.timesteps, float(total)).astype(options.numpy_dtype) / total
    else:
        high, low = flow_ends(options)
        sigmas = np.linspace(high * total, low * total, steps) / total
    sigmas = flow.shifted(sigmas)
    if options.respacing is not None:
        high, low = (float(torch.tensor(sigmas[i])) for i in (0, -1))
        sigmas = respaced(options, high, low, steps)
    return sigmas


def flow_grid(steps: int, options: GridOptions) -> Grid:
    """The grid of N sigmas and sigma = 0; the timesteps are sigmas times ``num_train_timesteps``, or custom ones."""
    grid = grid_of_sigmas(torch.from_numpy(flow_sigmas(steps, options)).to(options.torch_dtype), options)
    if options.timesteps is None or options.flow.invert_sigmas:
        return grid
    told = numbers("timesteps", options.timesteps).astype(options.numpy_dtype)
    return replace(grid, timesteps=told.astype(np.float64))


def grid_of_sigmas(sigma: torch.Tensor, options: GridOptions) -> Grid:
    """The grid over the sigmas (N,) that ends at 0. Inverted, the path is the same, but timesteps count from the
    noise and networks predict ``x0 - eps``."""
    total, inverted = options.schedule.num_train_timesteps, options.flow.invert_sigmas
    timesteps = widened((1.0 - sigma if inverted else sigma) * total)
    alpha = widened(1.0 - sigma)
    own = 1.0 - alpha if inverted else widened(sigma)
    ones = np.ones(len(sigma))
    return Grid(
        steps=len(sigma),
        family="flow",
        schedule=None if inverted else FlowSchedule(total),
        timesteps=timesteps,
        alpha=np.append(alpha, 1.0),
        sigma=np.append(own, 0.0),
        preconditioned={"flow_prediction": (ones, own)} if inverted else {},
        dtype=sigma.dtype,
    )


def custom_table(name: str, values: Any, largest: float) -> npt.NDArray[np.float64]:
    """The caller's own sigmas or timesteps (N,), which must descend within [0, ``largest``].

    Raises:
        OptionError: they do not.
    """
    table = numbers(name, values)
    if (np.diff(table) >= 0).any() or table[0] > largest or table[-1] < 0 or table[0] == 0:
        raise OptionError(
            f"{name}={shown(values)} are not allowed; give values that descend from at most {largest:g} to 0 or more, "
            "one for each step: the end is not among them"
        )
    return table
