"""The split of a stochastic step into a deterministic part and fresh noise."""

from __future__ import annotations

import torch

from samplegraph.schedulers.precision import root


def ancestral(
    sigma: torch.Tensor, sigma_next: torch.Tensor, eta: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(sigma_down, sigma_up)`` with ``sigma_down^2 + sigma_up^2 = sigma_next^2``, for x = x0 + sigma * eps.

    The sampler steps down to ``sigma_down`` and adds noise of deviation ``sigma_up``. At ``eta=1`` that noise has
    the variance of the true posterior, DDPM's (arXiv:2006.11239, eq. 7); ``eta=0`` adds none. Shapes (N,).
    """
    up = eta * root(sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2)
    return root(sigma_next**2 - up**2), up
