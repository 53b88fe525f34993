"""Noise schedules: the betas a variance-preserving model was trained with, and their cumulative products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from samplegraph.schedulers.errors import OptionError, flag, in_range, one_of, whole

BETA_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp", "laplace")
_MAX_BETA = 0.999
_MAX_TIMESTEPS = 1_000_000


@dataclass(frozen=True)
class NoiseSchedule:
    """The discrete noise schedule of a model: ``x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps``.

    ``linear`` is DDPM's (arXiv:2006.11239), ``scaled_linear`` latent diffusion's (arXiv:2112.10752),
    ``squaredcos_cap_v2`` the cosine schedule of arXiv:2102.09672, ``sigmoid`` GeoDiff's (arXiv:2203.02923).
    ``rescale_betas_zero_snr`` is Algorithm 1 of arXiv:2305.08891.

    Raises:
        OptionError: an unknown schedule, betas outside (0, 1), or a count below 1.
    """

    beta_schedule: str = "linear"
    beta_start: float = 0.0001
    beta_end: float = 0.02
    num_train_timesteps: int = 1000
    trained_betas: tuple[float, ...] | None = None
    rescale_betas_zero_snr: bool = False

    def __post_init__(self) -> None:
        one_of("beta_schedule", self.beta_schedule, BETA_SCHEDULES)
        whole("num_train_timesteps", self.num_train_timesteps, 1, _MAX_TIMESTEPS)
        in_range("beta_start", self.beta_start, 0.0, 1.0)
        in_range("beta_end", self.beta_end, 0.0, 1.0)
        flag("rescale_betas_zero_snr", self.rescale_betas_zero_snr)
        if self.trained_betas is not None:
            object.__setattr__(self, "trained_betas", tuple(float(beta) for beta in self.trained_betas))
            if len(self.trained_betas) != self.num_train_timesteps:
                raise OptionError(
                    f"trained_betas has {len(self.trained_betas)} entries, num_train_timesteps is "
                    f"{self.num_train_timesteps}; give as many betas as training timesteps"
                )

    def alphas_cumprod(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Cumulative products ``abar`` of shape (T,); float32 follows diffusers' operations one by one.

        Raises:
            OptionError: the betas give values that are not in [0, 1].
        """
        abar = torch.cumprod(1.0 - self.betas(dtype), dim=0)
        if not bool(((abar >= 0) & (abar <= 1)).all()):
            raise OptionError(
                f"beta_start={self.beta_start!r}, beta_end={self.beta_end!r}, trained_betas: the cumulative "
                "products leave [0, 1]; give betas in (0, 1)"
            )
        return abar

    def betas(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Variance that each training timestep adds, (T,)."""
        betas = self._betas(dtype)
        return _rescale_zero_terminal_snr(betas) if self.rescale_betas_zero_snr else betas

    def _betas(self, dtype: torch.dtype) -> torch.Tensor:
        n, start, end = self.num_train_timesteps, self.beta_start, self.beta_end
        if self.trained_betas is not None:
            return torch.tensor(self.trained_betas, dtype=dtype)
        match self.beta_schedule:
            case "linear":
                return torch.linspace(start, end, n, dtype=dtype)
            case "scaled_linear":
                return torch.linspace(start**0.5, end**0.5, n, dtype=dtype) ** 2
            case "sigmoid":
                return torch.sigmoid(torch.linspace(-6, 6, n, dtype=dtype)) * (end - start) + start
            case kind:
                return torch.tensor(_betas_for_alpha_bar(_ALPHA_BAR[kind], n), dtype=dtype)


def _cosine(t: float) -> float:
    return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2


def _exp(t: float) -> float:
    return math.exp(t * -12.0)


def _laplace(t: float) -> float:
    lam = -0.5 * math.copysign(1, 0.5 - t) * math.log(1 - 2 * math.fabs(0.5 - t) + 1e-6)
    snr = math.exp(lam)
    return math.sqrt(snr / (1 + snr))


_ALPHA_BAR: dict[str, Callable[[float], float]] = {"squaredcos_cap_v2": _cosine, "exp": _exp, "laplace": _laplace}


def _betas_for_alpha_bar(alpha_bar: Callable[[float], float], n: int) -> list[float]:
    """Betas whose cumulative product follows ``alpha_bar`` over t in [0, 1], capped at 0.999."""
    return [min(1 - alpha_bar((i + 1) / n) / alpha_bar(i / n), _MAX_BETA) for i in range(n)]


def _rescale_zero_terminal_snr(betas: torch.Tensor) -> torch.Tensor:
    """Shift and scale ``sqrt(abar)`` so that the last timestep is pure noise (arXiv:2305.08891, Algorithm 1)."""
    root = torch.cumprod(1.0 - betas, dim=0).sqrt()
    first, last = root[0].clone(), root[-1].clone()
    root = (root - last) * (first / (first - last))
    abar = root**2
    return 1 - torch.cat([abar[:1], abar[1:] / abar[:-1]])
