"""What a denoiser was trained on: how noisy a sample is at each timestep, and how it is shown to the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError, in_range, whole
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule
from samplegraph.schedulers.grids.respacing import sigma_to_t

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FlowSchedule:
    """The straight path of flow matching, Lipman et al. 2022 (arXiv:2210.02747): ``x_t = (1 - s) x0 + s eps`` at
    timestep ``t = s * num_train_timesteps``.

    Raises:
        OptionError: a count below 1.
    """

    num_train_timesteps: int = 1000

    def __post_init__(self) -> None:
        whole("num_train_timesteps", self.num_train_timesteps, 1)


@dataclass(frozen=True)
class EDMSchedule:
    """The preconditioned network of Karras et al. 2022 (arXiv:2206.00364), Table 1: it sees ``x0 + sigma eps`` over
    ``sqrt(sigma^2 + sigma_data^2)`` at timestep ``log(sigma) / 4``.

    Raises:
        OptionError: ``sigma_data`` is not above 0.
    """

    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < in_range("sigma_data", self.sigma_data, 0.0, float("inf")) < float("inf"):
            raise OptionError(f"sigma_data={self.sigma_data!r} is not allowed; give a number above 0")


Schedule = NoiseSchedule | FlowSchedule | EDMSchedule


def schedule_of(values: Mapping[str, Any]) -> Schedule:
    """The schedule whose fields these are."""
    if "beta_schedule" in values:
        return NoiseSchedule(**values)
    return EDMSchedule(**values) if "sigma_data" in values else FlowSchedule(**values)


def seen_scale(schedule: Schedule, alpha: Array, sigma: Array) -> Array:
    """What ``alpha * x0 + sigma * eps`` is multiplied with before a network of this training sees it."""
    match schedule:
        case NoiseSchedule():
            return np.asarray(1.0 / np.hypot(alpha, sigma))
        case FlowSchedule():
            return 1.0 / (alpha + sigma)
        case EDMSchedule(sigma_data):
            return np.asarray(1.0 / np.hypot(sigma, alpha * sigma_data))


def told_timesteps(schedule: Schedule, alpha: Array, sigma: Array) -> Array:
    """The timesteps at which a network of this training knows a sample as noisy as ``alpha * x0 + sigma * eps``."""
    match schedule:
        case NoiseSchedule():
            return sigma_to_t(sigma / np.maximum(alpha, 2**-12), 0.5 * np.log(_ratios(schedule)))
        case FlowSchedule(count):
            return count * sigma / (alpha + sigma)
        case EDMSchedule():
            return np.asarray(0.25 * np.log(sigma / np.maximum(alpha, 2**-12)))


def nearest_signal(schedule: NoiseSchedule, alpha: Array, sigma: Array) -> tuple[Array, Array]:
    """``alpha`` and ``sigma`` where the network knows so noisy a sample, else those of its noisiest timestep, so that
    pure noise is read as what the network was trained to begin with. The norm of the pair stays."""
    most = float(_ratios(schedule).max()) ** 0.5
    beyond = sigma > most * alpha
    signal = np.hypot(alpha, sigma) / np.hypot(1.0, most)
    return np.where(beyond, signal, alpha), np.where(beyond, most * signal, sigma)


def preconditioner(sigma_data: float, alpha: Array, sigma: Array) -> tuple[Array, Array]:
    """``(skip, gain)`` with ``x0 = skip * x + gain * output`` (arXiv:2206.00364, Table 1) at
    ``x = alpha * x0 + sigma * eps``."""
    total = sigma**2 + (alpha * sigma_data) ** 2
    return alpha * sigma_data**2 / total, sigma * sigma_data / np.sqrt(total)


def _ratios(schedule: NoiseSchedule) -> Array:
    """Squared noise-to-signal ratio of every training timestep."""
    abar = schedule.alphas_cumprod(torch.float64).clamp(min=2**-24).numpy()
    return np.asarray((1 - abar) / abar)
