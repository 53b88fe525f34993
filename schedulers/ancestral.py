"""The split of one stochastic step into a deterministic part and fresh noise."""

from __future__ import annotations

from math import sqrt


def ancestral(sigma: float, sigma_next: float, eta: float = 1.0) -> tuple[float, float]:
    """``(sigma_down, sigma_up)`` with ``sigma_down**2 + sigma_up**2 == sigma_next**2``, for x = x0 + sigma * eps.

    The sampler steps down to ``sigma_down`` and adds noise of deviation ``sigma_up``. At ``eta=1`` that noise has
    the variance of the true posterior, DDPM's (arXiv:2006.11239, eq. 7); ``eta=0`` adds none.

    Raises:
        ValueError: ``sigma_next`` is larger than ``sigma``.
    """
    up = min(sigma_next, eta * sqrt(sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2))
    return sqrt(sigma_next**2 - up**2), up
