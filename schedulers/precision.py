"""Tensor arithmetic in the precision of the tables, by torch: its float32 roots differ from numpy's in the last bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch


def root(value: torch.Tensor) -> torch.Tensor:
    """Square root of differences that cannot be negative but for rounding.

    In float64 such rounding counts as 0. In float32 it stays the NaN that diffusers gives there.
    """
    return (value.clamp(min=0.0) if value.dtype == torch.float64 else value) ** 0.5


def norm(sigma: torch.Tensor) -> torch.Tensor:
    """``sqrt(sigma^2 + 1)``."""
    return (sigma**2 + 1) ** 0.5


def floats(value: torch.Tensor) -> list[float]:
    """A table as Python floats."""
    return [float(v) for v in value.double()]


def widened(value: torch.Tensor) -> npt.NDArray[np.float64]:
    """A table as float64."""
    return np.asarray(value.double().numpy(), dtype=np.float64)
