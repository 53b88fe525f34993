"""Grids over noise-to-signal ratios: the sigmas of k-diffusion and of the DPM-Solver family."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.schedulers import respacing
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grid import Grid, alpha_sigma
from samplegraph.schedulers.options import GridOptions
from samplegraph.schedulers.spacing import Array, custom, spaced

Floats = npt.NDArray[np.floating[Any]]


def training_sigmas(options: GridOptions) -> Floats:
    """``sigma/alpha`` of every training timestep (T,), ascending; with zero terminal SNR the last abar is 2^-24."""
    abar = options.schedule.alphas_cumprod(options.torch_dtype)
    if options.schedule.rescale_betas_zero_snr:
        abar[-1] = 2**-24
    return np.asarray(((1 - abar) / abar) ** 0.5)


def respaced(options: GridOptions, high: float, low: float, steps: int) -> Array:
    """N sigmas between ``high`` and ``low``, or between ``sigma_max`` and ``sigma_min`` where those are given."""
    high = options.sigma_max if options.sigma_max is not None else high
    low = options.sigma_min if options.sigma_min is not None else low
    match options.respacing:
        case "karras":
            return respacing.karras(high, low, steps)
        case "exponential":
            return respacing.exponential(high, low, steps)
        case "beta":
            return respacing.beta(high, low, steps)
        case _:
            return respacing.lu(high, low, steps)


def final_sigma(options: GridOptions) -> float:
    """The sigma at which sampling ends."""
    if options.final_sigmas_type == "zero":
        return 0.0
    abar = options.schedule.alphas_cumprod(options.torch_dtype)
    return float(((1 - abar[0]) / abar[0]) ** 0.5)


def k_diffusion_grid(steps: int, options: GridOptions) -> Grid:
    """Variance-exploding grid of the Euler family: float timesteps, x = x0 + sigma * eps (arXiv:2206.00364).

    Raises:
        OptionError: more steps than training timesteps, or sigmas that do not descend.
    """
    table = training_sigmas(options)
    log_table = np.log(table)
    last = options.schedule.num_train_timesteps
    if options.sigmas is not None:
        sigmas: Floats = np.asarray(options.sigmas, dtype=options.numpy_dtype)
        timesteps = respacing.sigma_to_t(sigmas[:-1], log_table)
    else:
        if steps > last:
            raise OptionError(f"steps={steps} is more than num_train_timesteps={last}; give at most {last}")
        if options.timesteps is not None:
            timesteps = custom(options.timesteps, last)
        else:
            timesteps = spaced(options.timestep_spacing, steps, last, offset=options.steps_offset, whole=False)
        sigmas = np.interp(timesteps, np.arange(last), table)
        if options.interpolation_type == "log_linear":
            sigmas = np.exp(np.linspace(np.log(sigmas[-1]), np.log(sigmas[0]), steps + 1))
        if options.respacing is not None:
            sigmas = respaced(options, float(sigmas[0]), float(sigmas[-1]), steps)
            timesteps = respacing.sigma_to_t(sigmas, log_table)
        sigmas = np.append(sigmas, final_sigma(options)).astype(options.numpy_dtype)
    descending(sigmas)
    largest = float(sigmas[0])
    unit = options.timestep_spacing in ("linspace", "trailing")
    return Grid(
        steps=steps,
        family="ve",
        schedule=options.schedule,
        timesteps=timesteps.astype(np.float32),
        alpha=np.ones(len(sigmas)),
        sigma=sigmas,
        init_noise_sigma=largest if unit else float((np.square(sigmas[0]) + 1) ** 0.5),
    )


def dpm_grid(steps: int, options: GridOptions) -> Grid:
    """Variance-preserving grid of the DPM-Solver family: whole timesteps, sigmas by interpolation (arXiv:2206.00927).

    Raises:
        OptionError: more steps than training timesteps, or sigmas that do not descend.
    """
    table = training_sigmas(options)
    log_table = np.log(table)
    last = options.schedule.num_train_timesteps
    if steps > last:
        raise OptionError(f"steps={steps} is more than num_train_timesteps={last}; give at most {last}")
    if options.respacing is not None:
        sigmas = respaced(options, float(table[-1]), float(table[0]), steps)
        timesteps = respacing.sigma_to_t(sigmas, log_table)
        if options.respacing in ("karras", "lu") and options.schedule.beta_schedule != "squaredcos_cap_v2":
            timesteps = timesteps.round()
        timesteps = np.trunc(timesteps)
    else:
        timesteps = custom(options.timesteps, last) if options.timesteps is not None else _dpm_timesteps(steps, options)
        sigmas = np.interp(timesteps, np.arange(last), table)
    sigmas = np.append(sigmas, final_sigma(options)).astype(options.numpy_dtype)
    descending(sigmas)
    alpha, sigma = alpha_sigma(sigmas)
    return Grid(steps=steps, family="vp", schedule=options.schedule, timesteps=timesteps, alpha=alpha, sigma=sigma)


def _dpm_timesteps(steps: int, options: GridOptions) -> Array:
    """Whole timesteps, those with ``lambda < lambda_min_clipped`` left out (for the cosine schedule)."""
    total = options.schedule.num_train_timesteps
    abar = options.schedule.alphas_cumprod(options.torch_dtype)
    lam = (abar.sqrt().log() - (1 - abar).sqrt().log()).numpy()
    last = total - int(np.searchsorted(lam[::-1], options.lambda_min_clipped))
    return spaced(
        options.timestep_spacing, steps, last, offset=options.steps_offset, drop_final=True, whole=True, period=total
    )


def descending(sigmas: Floats) -> None:
    """Check that ``sigmas`` descend.

    Raises:
        OptionError: they do not.
    """
    bad = np.flatnonzero(~(np.diff(sigmas) < 0))
    if len(bad):
        i = int(bad[0])
        raise OptionError(
            f"sigmas do not descend: entry {i} is {float(sigmas[i]):g}, entry {i + 1} is {float(sigmas[i + 1]):g}; "
            "use fewer steps, another spacing, or sort custom sigmas from the noisiest down"
        )
