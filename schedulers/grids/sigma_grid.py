"""Grids over noise-to-signal ratios: the sigmas of k-diffusion and of the DPM-Solver family."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids import respacing
from samplegraph.schedulers.grids.community_grids import GRIDS, RANGED, Asked
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import RESPACED, GridOptions
from samplegraph.schedulers.grids.spacing import Array, custom, numbers, shown, spaced
from samplegraph.schedulers.precision import norm, widened

Floats = npt.NDArray[np.floating[Any]]


def training_abar(options: GridOptions) -> torch.Tensor:
    """``abar`` of every training timestep (T,); with zero terminal SNR the last is 2^-24, so that sigma is finite."""
    abar = options.schedule.alphas_cumprod(options.torch_dtype)
    if options.schedule.rescale_betas_zero_snr:
        abar[-1] = 2**-24
    return abar


def training_sigmas(options: GridOptions) -> Floats:
    """``sigma/alpha`` of every training timestep (T,), ascending.

    Raises:
        OptionError: some are 0 or infinite.
    """
    abar = training_abar(options)
    sigmas = np.asarray(((1 - abar) / abar) ** 0.5)
    if not (np.isfinite(sigmas).all() and (sigmas > 0).all()):
        t = int(np.argmin(np.isfinite(sigmas) & (sigmas > 0)))
        raise OptionError(
            f"the noise schedule gives sigma = {float(sigmas[t]):g} at training timestep {t}; "
            "change beta_schedule, beta_start, beta_end or trained_betas"
        )
    return sigmas


def respaced(options: GridOptions, high: float, low: float, steps: int, table: Floats | None = None) -> Array:
    """N sigmas between ``high`` and ``low``, or between ``sigma_max`` and ``sigma_min`` where those are given.

    Args:
        table: sigmas of the training timesteps (T,), ascending; None on a path that has no such.

    Raises:
        OptionError: a respacing of training timesteps on such a path, or a range for one that has its own.
    """
    grid = GRIDS.get(str(options.respacing))
    if grid is not None and options.respacing not in RANGED:
        if options.sigma_max is not None or options.sigma_min is not None:
            given = "sigma_max" if options.sigma_max is not None else "sigma_min"
            raise OptionError(f"{given} is not read by respacing={options.respacing!r}, whose range is its own")
        if table is None:
            raise OptionError(
                f"respacing={options.respacing!r} is not defined on a flow; choose one of "
                f"{', '.join((*RESPACED, *RANGED))}"
            )
    high = options.sigma_max if options.sigma_max is not None else high
    low = options.sigma_min if options.sigma_min is not None else low
    if grid is not None:
        known = np.array([low, high]) if table is None else table.astype(np.float64)
        return grid(Asked(high, low, steps, known, options.respacing_rho))
    match options.respacing:
        case "karras":
            return respacing.karras(high, low, steps, options.respacing_rho or 7.0)
        case "exponential":
            return respacing.exponential(high, low, steps)
        case "beta":
            return respacing.beta(high, low, steps)
        case _:
            real = options.numpy_dtype
            return respacing.lu(float(np.log(real(high))), float(np.log(real(low))), steps)


def final_sigma(options: GridOptions) -> float:
    """The sigma at which sampling ends."""
    if options.final_sigmas_type == "zero":
        return 0.0
    abar = options.schedule.alphas_cumprod(options.torch_dtype)
    return float(((1 - abar[0]) / abar[0]) ** 0.5)


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


def custom_sigmas(options: GridOptions) -> Floats:
    """The caller's own sigmas, the final one included.

    Raises:
        OptionError: they are negative or do not descend.
    """
    sigmas = numbers("sigmas", options.sigmas or ()).astype(options.numpy_dtype)
    if not (np.diff(sigmas) < 0).all() or sigmas[-1] < 0:
        raise OptionError(
            f"sigmas={shown(options.sigmas or ())} do not descend; sort them from the noisiest down to the final "
            "sigma, each once and none negative"
        )
    return sigmas


def descending(sigmas: Floats) -> Floats:
    """Return ``sigmas`` if none is larger than the one before; the final one may be.

    Raises:
        OptionError: one is.
    """
    bad = np.flatnonzero(~(np.diff(sigmas[:-1]) <= 0))
    if len(bad):
        i = int(bad[0])
        raise OptionError(
            f"sigmas do not descend: entry {i} is {float(sigmas[i]):g}, entry {i + 1} is {float(sigmas[i + 1]):g}; "
            "use fewer steps, another spacing, or a sigma_min below sigma_max"
        )
    return sigmas
