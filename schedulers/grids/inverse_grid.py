"""The grid of DPM-Solver's inversion, from little noise to much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids import respacing
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.sigmas import respaced, training_abar, training_sigmas
from samplegraph.schedulers.grids.solver_grid import solver_grid
from samplegraph.schedulers.grids.spacing import Array
from samplegraph.schedulers.precision import norm, widened


def inverse_dpm_grid(steps: int, options: GridOptions) -> Grid:
    """Variance-preserving grid of ascending sigmas at whole timesteps, each visited once; the last leads to the sigma
    of the noisiest timestep, or with a respacing repeats its own.

    Raises:
        OptionError: fewer than one timestep is left.
    """
    if options.use_flow_sigmas:
        flow = solver_grid(steps, replace(options, final_sigmas_type="sigma_min"), repeat_last=True)
        return _visited_once(flow, flow.timesteps)
    table = training_sigmas(options)
    noisiest = _noisiest(options)
    if options.respacing is not None:
        sigmas = respaced(options, float(table[0]), float(table[-1]), steps)
        t = respacing.sigma_to_t(sigmas, np.log(table))
        t = t.round() if options.respacing == "karras" else t
        end = float(sigmas[-1])
    else:
        t = _timesteps(steps, noisiest, options)
        sigmas = np.interp(t, np.arange(len(table)), table)
        end = float(table[noisiest])
    ratio = torch.from_numpy(np.append(sigmas, end)).to(options.torch_dtype)
    alpha = 1 / norm(ratio)
    grid = Grid(
        steps=len(t),
        family="vp",
        schedule=options.schedule,
        timesteps=t,
        alpha=widened(alpha),
        sigma=widened(ratio * alpha),
        preconditioned={"flow_prediction": (np.ones(len(t)), -widened(ratio)[:-1])},
        dtype=options.torch_dtype,
    )
    return _visited_once(grid, t)


def _noisiest(options: GridOptions) -> int:
    abar = training_abar(options)
    lam = (abar.sqrt().log() - (1 - abar).sqrt().log()).flip(0)
    noisiest = len(abar) - 1 - int(torch.searchsorted(lam, options.lambda_min_clipped))
    if noisiest < 0:
        raise OptionError(f"lambda_min_clipped={options.lambda_min_clipped!r} leaves no timestep; lower it")
    return noisiest


def _timesteps(steps: int, noisiest: int, options: GridOptions) -> Array:
    match options.timestep_spacing:
        case "linspace":
            t = np.linspace(0, noisiest, steps + 1).round()[:-1]
        case "leading":
            t = (np.arange(steps) * ((noisiest + 1) // (steps + 1))).astype(np.float64) + options.steps_offset
        case _:
            t = np.arange(noisiest + 1, 0, -options.schedule.num_train_timesteps / steps).round()[::-1] - 1
            t = t[t >= 0]
    return np.asarray(t, dtype=np.float64)


def _visited_once(grid: Grid, t: Array) -> Grid:
    """The grid with equal timesteps once, and as many of its first sigmas."""
    _, first = np.unique(t, return_index=True)
    once = np.trunc(t[np.sort(first)])
    n = len(once)
    cut = {name: tuple(row[:n] for row in rows) for name, rows in grid.preconditioned.items()}
    return Grid(
        steps=n,
        family=grid.family,
        schedule=grid.schedule,
        timesteps=once,
        alpha=grid.alpha[: n + 1],
        sigma=grid.sigma[: n + 1],
        preconditioned=cut,
        dtype=grid.dtype,
    )
