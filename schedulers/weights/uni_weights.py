"""Weights of UniPC's predictor and corrector, in the precision of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.precision import floats


@dataclass(frozen=True)
class UniWeights:
    """One step from x with outputs m0 (newest), m1, ...: ``keep * x - first * m0 - scale * sum_k rho_k D_k``.

    ``D_k = (m_k - m0) / ratios[k - 1]``, where the ratios are distances in lambda in units of the step. ``predictor``
    holds the rho of UniP; ``corrector`` those of UniC, the last one for the output at the end of the step (ratio 1).
    """

    keep: float
    first: float
    scale: float
    ratios: list[float]
    predictor: list[float]
    corrector: list[float]


def uni_weights(grid: Grid, orders: Sequence[int], *, on_x0: bool, solver_type: str) -> list[UniWeights]:
    """Zhao et al. 2023 (arXiv:2302.04867), eq. 3, 5 and Algorithms 5-8, for the step from each point with its order.

    The operations follow diffusers' one by one: rho solves a Vandermonde system, but is 1/2 for the predictor of
    order 2 and the corrector of order 1, the only places where ``solver_type`` (B(h) = h or e^h - 1) matters.

    Raises:
        OptionError: the system has no solution, as where two sigmas are equal.
    """
    alpha, sigma = grid.tensor("alpha"), grid.tensor("sigma")
    lam = alpha.log() - sigma.log()
    weights = []
    for i, order in enumerate(orders):
        h = lam[i + 1] - lam[i]
        hh = -h if on_x0 else h
        b_h = hh if solver_type == "bh1" else torch.expm1(hh)
        ratios = [(lam[i - k] - lam[i]) / h for k in range(1, order)]
        if on_x0:
            keep, outer = sigma[i + 1] / sigma[i], alpha[i + 1]
        else:
            keep, outer = alpha[i + 1] / alpha[i], sigma[i + 1]
        matrix, right = _system(torch.stack([*ratios, torch.ones_like(h)]), hh, b_h)
        last = i + 1 == len(orders)
        try:
            predictor = [0.5] if order == 2 else floats(torch.linalg.solve(matrix[:-1, :-1], right[:-1]))
            corrector = [] if last else [0.5] if order == 1 else floats(torch.linalg.solve(matrix, right))
        except RuntimeError as error:
            raise OptionError(
                f"step {i} of order {order} has no weights, as sigmas coincide; lower solver_order"
            ) from error
        first, scale = outer * torch.expm1(hh), outer * b_h
        weights.append(
            UniWeights(float(keep), float(first), float(scale), [float(r) for r in ratios], predictor, corrector)
        )
    return weights


def _system(nodes: torch.Tensor, hh: torch.Tensor, b_h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``R`` and ``b`` of ``R rho = b``: powers of the nodes, and ``k! phi_(k+1)(hh) hh / B(h)`` (eq. 4)."""
    rows, right, factorial = [], [], 1
    phi = torch.expm1(hh) / hh - 1
    for k in range(1, len(nodes) + 1):
        rows.append(torch.pow(nodes, k - 1))
        right.append(phi * factorial / b_h)
        factorial *= k + 1
        phi = phi / hh - 1 / factorial
    return torch.stack(rows), torch.stack(right)
