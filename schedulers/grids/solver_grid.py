"""Grids of the solvers in lambda = log(alpha/sigma): over a noise schedule, or over the straight path of a flow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.flow_grid import custom_table
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.sigma_grid import dpm_grid
from samplegraph.schedulers.grids.sigmas import custom_sigmas, final_sigma, respaced, training_sigmas
from samplegraph.schedulers.grids.training import FlowSchedule
from samplegraph.schedulers.precision import widened

#: Options of solvers that run on a flow's path too, with their defaults.
FLOW_SIGMA_DEFAULTS: Mapping[str, object] = {
    "use_flow_sigmas": False,
    "flow_shift": 1.0,
    "use_dynamic_shifting": False,
    "time_shift_type": "exponential",
    "mu": None,
}
Floats = npt.NDArray[np.floating[Any]]


def solver_grid(
    steps: int, options: GridOptions, *, round_cosine: bool = False, repeat_last: bool = False
) -> Grid:
    """``dpm_grid``, or with ``use_flow_sigmas`` the path of a flow: N sigmas even before ``flow_shift``, from 1 - 1/T.

    As in diffusers a network that predicts v is read without the norm alpha^2 + sigma^2 there, and one that predicts
    the flow over a noise schedule as if the ratio sigma/alpha were sigma.

    Args:
        round_cosine, repeat_last: as ``dpm_grid`` has them.

    Raises:
        OptionError: as ``dpm_grid`` raises, or options that exclude each other.
    """
    flow = options.flow
    if flow.mu is not None and not (flow.use_dynamic_shifting and flow.time_shift_type == "exponential"):
        raise OptionError("mu needs use_dynamic_shifting=True and time_shift_type='exponential'; leave it out")
    if not options.use_flow_sigmas:
        grid = dpm_grid(steps, options, round_cosine=round_cosine, repeat_last=repeat_last)
        ratio = grid.sigma[:-1] / grid.alpha[:-1]
        return replace(grid, preconditioned={"flow_prediction": (np.ones(grid.points), -ratio)})
    refuse_beside_flow(options)
    if options.sigmas is not None:
        sigmas = custom_sigmas(options)
        if not sigmas[0] < 1:
            raise OptionError(f"sigmas begin with {sigmas[0]:g}; a flow's stay below 1")
        return flow_path(sigmas, options)
    shift = math.exp(options.flow.mu) if options.flow.mu is not None else options.flow_shift
    even = 1.0 - np.linspace(1, 1 / options.schedule.num_train_timesteps, steps + 1)
    sigmas = np.flip(shift * even / (1 + (shift - 1) * even))[:-1]
    end = float(sigmas[-1]) if repeat_last and options.final_sigmas_type == "sigma_min" else final_sigma(options)
    return flow_path(np.append(sigmas, end), options)


def unipc_grid(steps: int, options: GridOptions) -> Grid:
    """The grid of UniPC, whose flow begins at 1 - 1e-6, takes custom sigmas (N), ``mu`` and ``shift_terminal``, and
    the Karras sigmas of a noise schedule as ratios.

    Raises:
        OptionError: as ``solver_grid`` raises.
    """
    if options.flow.use_dynamic_shifting:
        options.flow.dynamic  # noqa: B018 - refuses where there is no mu
    if not options.use_flow_sigmas:
        if options.flow_sigmas is not None or options.flow.shift_terminal is not None:
            raise OptionError("flow_sigmas and shift_terminal are for use_flow_sigmas=True; leave them out")
        plain = replace(options, flow=replace(options.flow, mu=None))
        return solver_grid(steps, plain, round_cosine=True, repeat_last=True)
    if options.sigmas is not None:
        return solver_grid(steps, replace(options, flow=replace(options.flow, mu=None)))
    if options.respacing == "karras" and options.flow_sigmas is None:
        table = training_sigmas(options)
        ratio = respaced(options, float(table[-1]), float(table[0]), steps, table)
        sigmas: Floats = ratio / (ratio + 1)
    else:
        refuse_beside_flow(options)
        sigmas = np.linspace(1, 1 / options.schedule.num_train_timesteps, steps + 1)[:-1]
        if options.flow_sigmas is not None:
            sigmas = custom_table("flow_sigmas", options.flow_sigmas, 1.0)
        sigmas = replace(options.flow, shift=options.flow_shift).shifted(sigmas)
        if abs(sigmas[0] - 1) < 1e-6:
            sigmas[0] -= 1e-6
    return flow_path(np.append(sigmas, sigmas[-1] if options.final_sigmas_type == "sigma_min" else 0.0), options)


def refuse_beside_flow(options: GridOptions) -> None:
    """Refuse what leaves the path of a flow.

    Raises:
        OptionError: a respacing, whose sigmas are ratios beyond 1, or custom timesteps.
    """
    for name in ("respacing", "timesteps"):
        if getattr(options, name) is not None:
            raise OptionError(f"{name} and use_flow_sigmas=True exclude each other; leave one of them out")


def flow_path(sigmas: Floats, options: GridOptions) -> Grid:
    """The grid over sigmas (N + 1,) of the path ``(1 - sigma) x0 + sigma eps``, at whole timesteps."""
    sigma = torch.from_numpy(np.ascontiguousarray(sigmas)).to(options.torch_dtype)
    alpha, total = widened(1 - sigma), options.schedule.num_train_timesteps
    return Grid(
        steps=len(sigmas) - 1,
        family="flow",
        schedule=FlowSchedule(total),
        timesteps=np.trunc(np.asarray(sigmas[:-1], dtype=np.float64) * total),
        alpha=alpha,
        sigma=widened(sigma),
        preconditioned={"v_prediction": (alpha[:-1], -widened(sigma)[:-1], widened(sigma)[:-1], alpha[:-1])},
        dtype=options.torch_dtype,
    )
