"""The sigmas that grids are made of: those of training, respaced ones, and the caller's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids import respacing
from samplegraph.schedulers.grids.community_grids import GRIDS, RANGED, Asked
from samplegraph.schedulers.grids.options import RESPACED, GridOptions
from samplegraph.schedulers.grids.spacing import Array, numbers, shown

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
