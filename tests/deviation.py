"""The closed form that orders of convergence are measured against: Gaussian data, through symbols."""

from __future__ import annotations

import math

from samplegraph.schedulers import Affine, Prediction, Scheduler


def deviation_error(scheduler: Scheduler, exact_start: int = 0, s: float = 2.0) -> float:
    """Relative error of the final deviation for data N(0, s^2), whose optimal denoiser is linear.

    The first ``exact_start`` steps end on the exact deviation.
    """
    g, drawn = scheduler.grid, 0

    def deviation(alpha: float, sigma: float) -> float:
        return math.hypot(alpha * s, sigma)

    def denoise(x: Affine, i: int) -> Prediction[Affine]:
        alpha, sigma = float(g.alpha[i]), float(g.sigma[i])
        variance = deviation(alpha, sigma) ** 2
        return Prediction((alpha * s**2 / variance) * x, (sigma / variance) * x)

    def noise() -> Affine:
        nonlocal drawn
        drawn += 1
        return Affine.symbol(f"noise_{drawn}")

    x = deviation(float(g.alpha[0]), float(g.sigma[0])) * Affine.symbol("noise_0")
    state = scheduler.init(x)
    for i in range(scheduler.steps):
        x, state = scheduler.step(i, x, state, denoise, noise)
        if i < exact_start:
            x = deviation(float(g.alpha_next[i]), float(g.sigma_next[i])) * Affine.symbol("noise_0")
    reached = math.sqrt(sum(c * c for c in x.terms.values()))
    return abs(reached / deviation(float(g.alpha_next[-1]), float(g.sigma_next[-1])) - 1)
