"""The grid of CogVideoX: DDIM's, over a noise schedule that is shifted towards the noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import TIMESTEP_DEFAULTS, GridOptions
from samplegraph.schedulers.grids.timestep_grid import visited
from samplegraph.schedulers.precision import widened

#: Options of it, with their defaults.
COGVIDEOX_DEFAULTS: Mapping[str, object] = {
    **TIMESTEP_DEFAULTS,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "set_alpha_to_one": True,
    "snr_shift_scale": 3.0,
}
#: Keys of diffusers' classes that none of their methods reads.
IGNORED = ("clip_sample", "clip_sample_range", "sample_max_value")


def cogvideox_grid(steps: int, options: GridOptions) -> Grid:
    """Each step leads from ``t`` to ``t - T // N``; abar is ``abar / (k + (1 - k) abar)`` with k = snr_shift_scale
    (arXiv:2408.06072, section 2.3), and then rescaled to end without a signal where that is asked for. As in diffusers
    the tables of ``scaled_linear`` are float64, which those of its other classes are not."""
    plain = options.schedule.beta_schedule == "scaled_linear" and options.schedule.trained_betas is None
    options = replace(options, exact_tables=options.exact_tables or plain)
    t = visited(steps, options)
    t_next = t - options.schedule.num_train_timesteps // steps
    here, there = (_levels(options, each) for each in (t, t_next))
    return Grid(
        steps=steps,
        family="vp",
        schedule=None,
        timesteps=t,
        alpha=np.append(widened(here**0.5), widened(there[-1:] ** 0.5)),
        sigma=np.append(widened((1 - here) ** 0.5), widened((1 - there[-1:]) ** 0.5)),
        alpha_next=widened(there**0.5),
        sigma_next=widened((1 - there) ** 0.5),
        abar=widened(here),
        abar_next=widened(there),
        own={"stride": np.array([options.schedule.num_train_timesteps // steps])},
        dtype=options.torch_dtype,
    )


def _levels(options: GridOptions, t: np.ndarray) -> torch.Tensor:
    """abar at whole timesteps ``t``; below 0 it is 1 or that of t = 0."""
    k, plain = options.snr_shift_scale, replace(options.schedule, rescale_betas_zero_snr=False)
    abar = plain.alphas_cumprod(options.torch_dtype)
    abar = abar / (k + (1 - k) * abar)
    if options.schedule.rescale_betas_zero_snr:
        root = abar.sqrt()
        first, last = root[0].clone(), root[-1].clone()
        abar = ((root - last) * (first / (first - last))) ** 2
    index = torch.from_numpy(t.astype(np.int64))
    end = torch.ones_like(abar[0]) if options.set_alpha_to_one else abar[0]
    return torch.where(index < 0, end, abar[index.clamp(min=0)])
