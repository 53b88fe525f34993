"""The grids of the stochastic differential equations of Song et al. 2021 (arXiv:2011.13456)."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.precision import widened

#: Options of both, with their defaults.
SDE_DEFAULTS: Mapping[str, object] = {"num_train_timesteps": 2000, "sampling_eps": 1e-3, "exact_tables": False}


def vp_sde_grid(steps: int, options: GridOptions) -> Grid:
    """The variance-preserving SDE (eq. 32 and 33) at the times t = 1 .. ``sampling_eps``, which are the timesteps.

    ``own`` holds its rate ``beta`` and ``diffusion``, the root of it, (N,) each.

    Raises:
        OptionError: a deviation of 0 or a negative rate.
    """
    low, high = options.beta_min, options.beta_max
    t = torch.linspace(1, options.sampling_eps, steps, dtype=options.torch_dtype)
    log_alpha = -0.25 * t**2 * (high - low) - 0.5 * t * low
    std = torch.sqrt(1.0 - torch.exp(2.0 * log_alpha))
    beta = low + t * (high - low)
    if not bool((std > 0).all()) or not bool((beta >= 0).all()):
        raise OptionError(
            f"sampling_eps={options.sampling_eps!r}, beta_min={low!r}, beta_max={high!r} give a deviation of 0 or "
            "a negative rate, where diffusers gives NaN; give sampling_eps > 0 and beta_max >= beta_min > 0"
        )
    return Grid(
        steps=steps,
        family="vp",
        schedule=None,
        timesteps=widened(t),
        alpha=np.append(widened(log_alpha.exp()), 1.0),
        sigma=np.append(widened(std), 0.0),
        own={"beta": widened(beta), "diffusion": widened(beta.sqrt())},
    )


def ve_sde_grid(steps: int, options: GridOptions) -> Grid:
    """The variance-exploding SDE (eq. 30) at the times t = 1 .. ``sampling_eps``; the timesteps are the sigmas.

    ``own`` holds the variance ``added`` between neighbours of an even spacing of log sigma, and ``diffusion``, the
    root of it, (N,) each.
    """
    low, high, kind = options.sigma_min or 0.01, options.sigma_max or 1348.0, options.torch_dtype
    t = torch.linspace(1, options.sampling_eps, steps, dtype=kind)
    sigma = torch.stack([low * (high / low) ** each for each in t])
    discrete = torch.exp(torch.linspace(log(low), log(high), steps, dtype=kind))
    place = (t * (steps - 1)).long()
    adjacent = torch.where(place == 0, torch.zeros_like(t), discrete[place - 1])
    diffusion = (discrete[place] ** 2 - adjacent**2) ** 0.5
    return Grid(
        steps=steps,
        family="ve",
        schedule=None,
        timesteps=widened(sigma),
        alpha=np.ones(steps + 1),
        sigma=np.append(widened(sigma), 0.0),
        own={"diffusion": widened(diffusion), "added": widened(diffusion**2)},
        init_noise_sigma=float(high),
    )
