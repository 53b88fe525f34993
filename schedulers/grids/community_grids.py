"""Respacings that diffusers lacks: those of k-diffusion, ComfyUI and Align Your Steps.

Each gives N sigmas, descending, without the final one. ``table`` (T,) is the ascending sigmas of training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Sabour et al. 2024, "Align Your Steps" (arXiv:2404.14507), appendix: sigmas for 10 steps, without the final 0.
ALIGN_YOUR_STEPS: Mapping[str, tuple[float, ...]] = {
    "ays_sd1": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "ays_sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    "ays_svd": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}


@dataclass(frozen=True)
class Asked:
    """What a grid is made from: its range, N, the training sigmas (T,), and the exponent where one was given."""

    high: float
    low: float
    steps: int
    table: Array
    rho: float | None = None


def polyexponential(a: Asked) -> Array:
    """Polynomial in log sigma: k-diffusion's ``get_sigmas_polyexponential``; exponent 1, the default, is uniform."""
    ramp = np.linspace(1, 0, a.steps) ** (1.0 if a.rho is None else a.rho)
    return np.asarray(np.exp(ramp * (math.log(a.high) - math.log(a.low)) + math.log(a.low)))


def vp(a: Asked, beta_d: float = 19.9, beta_min: float = 0.1, eps: float = 1e-3) -> Array:
    """The continuous VP schedule of Song et al. 2021 (arXiv:2011.13456), uniform in time: k-diffusion's
    ``get_sigmas_vp``."""
    t = np.linspace(1, eps, a.steps)
    return np.asarray(np.sqrt(np.expm1(beta_d * t**2 / 2 + beta_min * t)))


def kl_optimal(a: Asked) -> Array:
    """Uniform in the arc tangent of sigma: Sabour et al. 2024 (arXiv:2404.14507), section 3.1."""
    ramp = np.linspace(0, 1, a.steps)
    return np.tan((1 - ramp) * math.atan(a.high) + ramp * math.atan(a.low))


def linear_quadratic(a: Asked, threshold: float = 0.025) -> Array:
    """Half of the steps linear down to ``1 - threshold`` of the range, the others quadratic: Polyak et al. 2024,
    "Movie Gen" (arXiv:2410.13720), section 3.4.2; ComfyUI's ``linear_quadratic``."""
    if a.steps == 1:
        return np.array([a.high])
    half = a.steps // 2
    rest = a.steps - half
    bend = (half - threshold * a.steps) / rest**2
    i = np.arange(a.steps, dtype=np.float64)
    slow = i * threshold / half
    fast = bend / half * i**2 + (threshold / half - 2 * bend) * i + bend * half
    return a.high * (1 - np.where(i < half, slow, fast))


def simple(a: Asked) -> Array:
    """Every T/N-th training sigma from the largest down: ComfyUI's ``simple``."""
    picked = [-(1 + int(i * len(a.table) / a.steps)) for i in range(a.steps)]
    return a.table[picked]


def sgm_uniform(a: Asked) -> Array:
    """N + 1 timesteps from T - 1 to 0 without the last: the "SGM uniform" of Stability's generative-models."""
    return _sigma_of(np.linspace(len(a.table) - 1, 0, a.steps + 1)[:-1], a.table)


def normal(a: Asked) -> Array:
    """N timesteps from T - 1 to 0: ComfyUI's ``normal``."""
    return _sigma_of(np.linspace(len(a.table) - 1, 0, a.steps), a.table)


def ddim_uniform(a: Asked) -> Array:
    """The sigmas of timesteps 1, 1 + T // N, ...: DDIM's stride as ComfyUI has it, which may lay out more than N; the
    N of the smallest sigmas are taken."""
    stride = max(len(a.table) // a.steps, 1)
    picked = np.minimum(1 + stride * np.arange(a.steps), len(a.table) - 1)
    return a.table[picked[::-1]]


def align_your_steps(name: str) -> Callable[[Asked], Array]:
    """The published table, by log-linear interpolation for any N: its 11 values span N steps as they span 10."""
    logs = np.log(ALIGN_YOUR_STEPS[name])

    def made(a: Asked) -> Array:
        places = np.linspace(0, 1, a.steps + 1)[:-1]
        return np.exp(np.interp(places, np.linspace(0, 1, len(logs)), logs))

    return made


def _sigma_of(t: Array, table: Array) -> Array:
    """Sigmas of fractional timesteps, linear in log sigma."""
    return np.exp(np.interp(t, np.arange(len(table)), np.log(table)))


#: Name -> grid. Those in ``RANGED`` run between sigma_max and sigma_min, the others have a range of their own.
GRIDS: Mapping[str, Callable[[Asked], Array]] = {
    "polyexponential": polyexponential,
    "kl_optimal": kl_optimal,
    "linear_quadratic": linear_quadratic,
    "normal": normal,
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "ddim_uniform": ddim_uniform,
    "vp": vp,
    **{name: align_your_steps(name) for name in ALIGN_YOUR_STEPS},
}
RANGED = ("polyexponential", "kl_optimal", "linear_quadratic")
