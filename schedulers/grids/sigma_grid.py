"""Grids over noise-to-signal ratios: the sigmas of k-diffusion and of the DPM-Solver family."""

from __future__ import annotations

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids import respacing
from samplegraph.schedulers.grids.community_grids import GRIDS
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.sigmas import (
    custom_sigmas,
    descending,
    final_sigma,
    respaced,
    training_abar,
    training_sigmas,
)
from samplegraph.schedulers.grids.spacing import Array, custom, spaced
from samplegraph.schedulers.precision import norm, widened


def k_diffusion_grid(steps: int, options: GridOptions) -> Grid:
    """Variance-exploding grid of the Euler family: float timesteps, x = x0 + sigma * eps (arXiv:2206.00364).

    Its own table ``laid_out`` is the number of steps for which there are sigmas, more than N for log_linear, and
    ``log_sigmas`` (T,) the logarithms of the training sigmas, unless timesteps are continuous.

    Raises:
        OptionError: sigmas that do not descend, or options that exclude each other.
    """
    table = training_sigmas(options)
    log_table = np.log(table)
    last = options.schedule.num_train_timesteps
    if options.sigmas is not None:
        sigmas = custom_sigmas(options)
        timesteps = respacing.sigma_to_t(sigmas[:-1], log_table)
    else:
        if options.timesteps is not None:
            timesteps = custom(options.timesteps, last, whole=False)
        else:
            offset = options.steps_offset
            timesteps = spaced(options.timestep_spacing, steps, last, offset=offset, whole=False)
        if options.interpolation_type == "log_linear":
            # One value too many, over the whole training range: the final sigma is laid out, but only continuous
            # timesteps, of which there is then one more, reach it.
            high, low = float(log_table[-1]), float(log_table[0])
            sigmas = torch.linspace(high, low, steps + 1, dtype=options.torch_dtype).exp().numpy()
        else:
            sigmas = np.interp(timesteps, np.arange(last), table)
        if options.respacing is not None:
            sigmas = respaced(options, float(sigmas[0]), float(sigmas[-1]), steps, table)
            timesteps = respacing.sigma_to_t(sigmas, log_table)
        sigmas = descending(np.append(sigmas, final_sigma(options)).astype(options.numpy_dtype))
    laid_out = len(sigmas) - 1
    own = {"laid_out": np.array([float(laid_out)]), "log_sigmas": log_table}
    if options.timestep_type == "continuous" and options.prediction_type == "v_prediction":
        del own["log_sigmas"]
        if options.timesteps is not None:
            raise OptionError("timesteps and timestep_type='continuous' exclude each other; give sigmas instead")
        timesteps = widened(0.25 * torch.from_numpy(sigmas[:-1]).log())
    sigmas = sigmas[: len(timesteps) + 1]
    ratio = torch.from_numpy(sigmas)
    unit = options.timestep_spacing in ("linspace", "trailing")
    return Grid(
        steps=len(timesteps),
        family="ve",
        schedule=options.schedule,
        timesteps=timesteps.astype(np.float32).astype(np.float64),
        alpha=np.ones(len(sigmas)),
        sigma=sigmas.astype(np.float64),
        input_scale=1.0 / widened(norm(ratio[:-1])),
        init_noise_sigma=float(ratio.max() if unit else norm(ratio.max())),
        dtype=options.torch_dtype,
        own=own,
    )


def dpm_grid(
    steps: int, options: GridOptions, *, round_cosine: bool = False, repeat_last: bool = False
) -> Grid:
    """Variance-preserving grid of the DPM-Solver family: whole timesteps (arXiv:2206.00927).

    Args:
        round_cosine: round the timesteps of Karras sigmas for the cosine schedule too, in place of truncating.
        repeat_last: ``final_sigmas_type="sigma_min"`` repeats the last sigma of a respacing, in place of the
            smallest of training.

    Raises:
        OptionError: sigmas that do not descend, or options that exclude each other.
    """
    table = training_sigmas(options)
    log_table = np.log(table)
    last = options.schedule.num_train_timesteps
    if options.sigmas is not None:
        sigmas = custom_sigmas(options)
        timesteps = respacing.sigma_to_t(sigmas[:-1], log_table)
    else:
        if options.respacing is not None:
            sigmas = respaced(options, float(table[-1]), float(table[0]), steps, table)
            timesteps = respacing.sigma_to_t(sigmas, log_table)
            cosine = options.schedule.beta_schedule == "squaredcos_cap_v2"
            rounds = options.respacing in ("karras", "lu") and (round_cosine or not cosine)
            if rounds or options.respacing in GRIDS:
                timesteps = timesteps.round()
            timesteps = np.trunc(timesteps)
        else:
            timesteps = dpm_timesteps(steps, options)
            sigmas = np.interp(timesteps, np.arange(last), table)
        repeated = repeat_last and options.respacing is not None and options.final_sigmas_type == "sigma_min"
        end = float(sigmas[-1]) if repeated else final_sigma(options)
        sigmas = descending(np.append(sigmas, end).astype(options.numpy_dtype))
    ratio = torch.from_numpy(sigmas)
    alpha = 1 / norm(ratio)
    return Grid(
        steps=len(timesteps),
        family="vp",
        schedule=options.schedule,
        timesteps=timesteps,
        alpha=widened(alpha),
        sigma=widened(ratio * alpha),
        dtype=options.torch_dtype,
    )


def dpm_timesteps(steps: int, options: GridOptions) -> Array:
    """Whole timesteps; those with ``lambda < lambda_min_clipped`` are left out (for the cosine schedule)."""
    total = options.schedule.num_train_timesteps
    if options.timesteps is not None:
        return custom(options.timesteps, total, whole=True)
    abar = training_abar(options)
    lam = (abar.sqrt().log() - (1 - abar).sqrt().log()).flip(0)
    last = total - int(torch.searchsorted(lam, options.lambda_min_clipped))
    return spaced(
        options.timestep_spacing,
        steps,
        last,
        offset=options.steps_offset,
        drop_final=True,
        whole=True,
        period=total,
    )
