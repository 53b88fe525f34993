"""Weights of SA-Solver's stochastic Adams predictor and corrector, in the precision of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial, prod

import torch

from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.precision import floats


@dataclass(frozen=True)
class AdamsWeights:
    """One step: ``keep * x + sum_k outputs[k] * m_k + std * z`` with the outputs newest first."""

    keep: float
    outputs: list[float]
    std: float


def adams_weights(
    grid: Grid, i: int, nodes: Sequence[int], tau: float, *, on_x0: bool, corrector: bool
) -> AdamsWeights:
    """The step from point ``i`` to the next with outputs at ``nodes``, Xue et al. 2023 (arXiv:2309.05019), eq. 14, 17.

    The polynomial through the outputs is integrated against ``exp`` exactly. With two outputs on x0 diffusers replaces
    the integral by its series, one term further.

    Args:
        tau: amount of noise between the two points.
        corrector: the newest output is that at the end of the step.
    """
    alpha, sigma = grid.tensor("alpha"), grid.tensor("sigma")
    lam = [a.log() - s.log() for a, s in zip(alpha, sigma, strict=True)]  # one by one: torch's log of many differs
    start, end = lam[i], lam[i + 1]
    h, k = end - start, 1 + tau**2
    gradient = [
        sum((c * _moment(len(nodes) - 1 - j, start, end, k, on_x0) for j, c in enumerate(row)), torch.zeros_like(h))
        for row in _lagrange([lam[n] for n in nodes])
    ]
    if on_x0 and len(nodes) == 2:
        rest = (h * k - 1 + torch.exp(k * -h)) / k**2
        if corrector:
            change = torch.exp(k * end) * (h / 2 - rest / h)
        else:
            change = torch.exp(k * end) * (h**2 / 2 - rest) / (start - lam[i - 1])
        gradient = [gradient[0] + change, gradient[1] - change]
    if on_x0:
        keep = torch.exp(-(tau**2) * h) * (sigma[i + 1] / sigma[i])
        outer = k * sigma[i + 1] * torch.exp(-(tau**2) * end)
        std = sigma[i + 1] * torch.sqrt(1 - torch.exp(-2 * tau**2 * h))
    else:
        keep, outer = alpha[i + 1] / alpha[i], -k * alpha[i + 1]
        std = tau * sigma[i + 1] * torch.sqrt(torch.exp(2 * h) - 1)
    return AdamsWeights(float(keep), floats(torch.stack([outer * g for g in gradient])), float(std))


def _moment(order: int, start: torch.Tensor, end: torch.Tensor, k: float, on_x0: bool) -> torch.Tensor:
    """The integral of ``lambda^order exp(k lambda)``, on eps of ``lambda^order exp(-lambda)``, over the step."""
    if on_x0:
        a, b = k * start, k * end
        grown = _tower(order, b, -1.0) - _tower(order, a, -1.0) * torch.exp(-(b - a))
        return torch.exp(b) * grown / k ** (order + 1)
    return torch.exp(-end) * (_tower(order, start, 1.0) * torch.exp(end - start) - _tower(order, end, 1.0))


def _tower(order: int, x: torch.Tensor, sign: float) -> torch.Tensor:
    """``sum_j sign^(n-j) n!/j! x^j``: what n integrations by parts of ``x^n`` leave."""
    terms = [sign ** (order - j) * factorial(order) / factorial(j) * x**j for j in range(order, -1, -1)]
    return sum(terms[1:], terms[0])


def _lagrange(nodes: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Coefficients, highest power first, of the polynomials that are 1 at one node and 0 at the others."""
    rows = []
    for i, node in enumerate(nodes):
        others = [n for j, n in enumerate(nodes) if j != i]
        bottom = torch.ones_like(node)
        for other in others:
            bottom = bottom * (node - other)
        row = [torch.ones_like(node)]
        for power in range(1, len(nodes)):  # elementary symmetric polynomials, in diffusers' order of operations
            products = [prod(chosen[1:], start=chosen[0]) for chosen in combinations(others, power)]
            row.append(sum(products[1:], products[0]) * (-1.0) ** power)
        rows.append([c / bottom for c in row])
    return rows
