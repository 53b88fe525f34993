"""Respacings: sigma sequences of N values between a largest and a smallest sigma."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def karras(sigma_max: float, sigma_min: float, steps: int, rho: float = 7.0) -> Array:
    """Karras et al. 2022 (arXiv:2206.00364), eq. 5."""
    return karras_at(np.linspace(0, 1, steps), sigma_max, sigma_min, rho)


def karras_at(ramp: Array, sigma_max: float, sigma_min: float, rho: float = 7.0) -> Array:
    """The same where ``ramp`` (N,) goes from 0 at ``sigma_max`` to 1 at ``sigma_min``."""
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return np.asarray((high + ramp * (low - high)) ** rho, dtype=np.float64)


def exponential(sigma_max: float, sigma_min: float, steps: int) -> Array:
    """Uniform in log sigma."""
    return np.exp(np.linspace(math.log(sigma_max), math.log(sigma_min), steps))


def beta(sigma_max: float, sigma_min: float, steps: int, a: float = 0.6, b: float = 0.6) -> Array:
    """Quantiles of a beta distribution, "Beta Sampling is All You Need" (arXiv:2407.12173)."""
    from scipy.stats import beta as distribution

    quantiles = distribution.ppf(1 - np.linspace(0, 1, steps), a, b)
    return np.asarray(sigma_min + quantiles * (sigma_max - sigma_min), dtype=np.float64)


def lu(log_sigma_max: float, log_sigma_min: float, steps: int) -> Array:
    """Uniform in lambda = -log sigma, Lu et al. 2022 (arXiv:2206.00927), section 3.4."""
    ramp = np.linspace(0, 1, steps)
    return np.exp(log_sigma_max + ramp * (log_sigma_min - log_sigma_max))


def sigma_to_t(sigma: npt.NDArray[np.floating], log_sigmas: npt.NDArray[np.floating]) -> Array:
    """Fractional timesteps of ``sigma``: linear interpolation in log sigma over the training table (T,)."""
    log_sigma = np.log(np.maximum(sigma, 1e-10))
    below = (log_sigma[None, :] - log_sigmas[:, None]) >= 0
    low = np.cumsum(below, axis=0).argmax(axis=0).clip(max=len(log_sigmas) - 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # equal sigmas: NaN is refused with the grid
        w = (log_sigmas[low] - log_sigma) / (log_sigmas[low] - log_sigmas[low + 1])
    w = np.clip(w, 0, 1)
    return np.asarray((1 - w) * low + w * (low + 1), dtype=np.float64)
