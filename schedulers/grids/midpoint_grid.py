"""Grids with points between the steps, for methods that evaluate there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.grids.grid import Array, Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.respacing import sigma_to_t
from samplegraph.schedulers.grids.sigmas import training_sigmas
from samplegraph.schedulers.precision import norm, widened


def with_middles(base: Grid, options: GridOptions, middles: torch.Tensor) -> Grid:
    """The variance-exploding grid ``base`` with further points N, N + 1, ... at the sigmas ``middles`` (N - 1,).

    Their timesteps are fractions, found by log-linear interpolation; those of Karras sigmas on the steps are whole.
    """
    t = base.timesteps.round() if options.respacing == "karras" else base.timesteps
    between = sigma_to_t(middles.numpy(), np.log(training_sigmas(options)))
    return with_points(replace(base, timesteps=t), middles, between)


def with_points(base: Grid, middles: torch.Tensor, timesteps: Array) -> Grid:
    """The variance-exploding grid ``base`` with further points N, N + 1, ... at sigmas ``middles``, which the model
    is told as ``timesteps``, in float32."""
    sigma = np.concatenate([base.sigma[:-1], widened(middles), base.sigma[-1:]])
    return Grid(
        steps=base.steps,
        family=base.family,
        schedule=base.schedule,
        timesteps=np.concatenate([base.timesteps, timesteps.astype(np.float32).astype(np.float64)]),
        alpha=np.ones(len(sigma)),
        sigma=sigma,
        alpha_next=np.ones(len(sigma) - 1),
        sigma_next=np.concatenate([base.sigma_next, np.repeat(base.sigma[-1:], len(middles))]),
        input_scale=np.concatenate([base.input_scale, 1.0 / widened(norm(middles))]),
        init_noise_sigma=base.init_noise_sigma,
        dtype=base.dtype,
        begin=base.begin,
    )


def with_sigmas(base: Grid, sigmas: torch.Tensor) -> Grid:
    """``base`` with further points N, N + 1, ... at these sigmas, for methods whose options decide where they look."""
    table = base.own.get("log_sigmas")
    t = 0.25 * np.log(sigmas.numpy()) if table is None else sigma_to_t(sigmas.numpy(), table)
    return with_points(base, sigmas, t)


def at_sigmas(base: Grid, sigmas: torch.Tensor, end: float) -> Grid:
    """A grid of as many steps whose points are these ``sigmas`` alone, N or more, and which ends at ``end``."""
    n, both = base.steps, with_sigmas(base, sigmas)
    return Grid(
        steps=n,
        family="ve",
        schedule=base.schedule,
        timesteps=both.timesteps[n:],
        alpha=np.ones(len(sigmas) + 1),
        sigma=np.append(both.sigma[n:-1], end),
        input_scale=both.input_scale[n:],
        init_noise_sigma=base.init_noise_sigma,
        dtype=base.dtype,
        begin=base.begin,
    )
