"""Grids of Karras et al. 2022 (arXiv:2206.00364) for preconditioned networks: ``x = x0 + sigma eps``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import log

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.grid import Array, Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.sigmas import custom_sigmas
from samplegraph.schedulers.grids.spacing import numbers
from samplegraph.schedulers.grids.training import EDMSchedule
from samplegraph.schedulers.precision import widened

#: Options of grids for EDM networks, with their defaults.
EDM_DEFAULTS: Mapping[str, object] = {
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "sigma_data": 0.5,
    "sigma_schedule": "karras",
    "num_train_timesteps": 1000,
    "rho": 7.0,
    "final_sigmas_type": "zero",
    "sigmas": None,
    "exact_tables": False,
}


def ends(options: GridOptions) -> tuple[float, float]:
    """``sigma_max`` and ``sigma_min``.

    Raises:
        OptionError: one is missing.
    """
    if options.sigma_max is None or options.sigma_min is None:
        raise OptionError("sigma_min and sigma_max have to be numbers; leave them out for the defaults")
    return options.sigma_max, options.sigma_min


def spread(ramp: torch.Tensor, options: GridOptions) -> torch.Tensor:
    """Sigmas where ``ramp`` (N,) goes from 0 at ``sigma_max`` to 1 at ``sigma_min``: even in their ``rho``-th root
    (eq. 5), or even in their logarithm, which counts the entries of ``ramp`` alone."""
    high, low = ends(options)
    if options.sigma_schedule == "exponential":
        return torch.linspace(log(low), log(high), len(ramp), dtype=options.torch_dtype).exp().flip(0)
    low, high = low ** (1 / options.rho), high ** (1 / options.rho)
    sigma: torch.Tensor = (high + ramp * (low - high)) ** options.rho
    return sigma


def preconditioned_grid(sigma: torch.Tensor, timesteps: Array, options: GridOptions) -> Grid:
    """The grid over sigmas (N + 1,) of a network that diffusers calls ``epsilon`` where its output has a gain above 0,
    and ``v_prediction`` where below (Table 1)."""
    data, at = options.sigma_data, sigma[:-1]
    skip = data**2 / (at**2 + data**2)
    gain = widened(at * data / (at**2 + data**2) ** 0.5)
    high, _ = ends(options)
    return Grid(
        steps=len(at),
        family="ve",
        schedule=None,
        timesteps=timesteps,
        alpha=np.ones(len(sigma)),
        sigma=widened(sigma),
        input_scale=widened(1 / (at**2 + data**2) ** 0.5),
        preconditioned={"epsilon": (widened(skip), gain), "v_prediction": (widened(skip), -gain)},
        init_noise_sigma=(high**2 + 1) ** 0.5 if options.sigmas is None else (float(sigma[0]) ** 2 + 1) ** 0.5,
        dtype=options.torch_dtype,
    )


def edm_grid(steps: int, options: GridOptions, *, double_ramp: bool = True) -> Grid:
    """The grid of N sigmas and the final one; the timesteps are ``log(sigma) / 4``.

    Args:
        double_ramp: lay the sigmas out in float64, and repeat the last one for ``final_sigmas_type="sigma_min"``.
    """
    sigma = edm_sigmas(steps, options, double_ramp=double_ramp)
    if not bool((sigma[:-1] > 0).all()):
        raise OptionError(f"sigmas={options.sigmas!r} reach 0 before the end; only the last may be 0")
    grid = preconditioned_grid(sigma, widened(0.25 * torch.log(sigma[:-1])), options)
    return replace(grid, schedule=EDMSchedule(options.sigma_data))


def edm_sigmas(steps: int, options: GridOptions, *, double_ramp: bool) -> torch.Tensor:
    """The N sigmas and the final one."""
    if options.sigmas is not None:
        return torch.from_numpy(custom_sigmas(options))
    kind = torch.float64 if double_ramp else options.torch_dtype
    ramp = torch.linspace(0, 1, steps, dtype=kind)
    if options.ramp is not None:
        ramp = torch.from_numpy(numbers("ramp", options.ramp)).to(kind)
    sigma = spread(ramp, options).to(options.torch_dtype)
    if not bool(((sigma[1:] <= sigma[:-1]) & torch.isfinite(sigma[1:])).all()):
        raise OptionError("ramp, sigma_min and sigma_max give sigmas that do not descend; give sigma_min < sigma_max")
    low = float(sigma[-1]) if double_ramp else ends(options)[1]
    end = low if options.final_sigmas_type == "sigma_min" else 0.0
    return torch.cat([sigma, torch.tensor([end], dtype=sigma.dtype)])
