"""Weights of LMS over the sigmas of a run."""

from __future__ import annotations

import torch

from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.weights.adams_bashforth import adams_bashforth

#: Positive nodes and their weights of the 21-point Gauss-Kronrod rule on [-1, 1] (QUADPACK's dqk21), the middle last.
_RULE = (
    (0.995657163025808080735527280689003, 0.011694638867371874278064396062192),
    (0.973906528517171720077964012084452, 0.032558162307964727478818972459390),
    (0.930157491355708226001207180059508, 0.054755896574351996031381300244580),
    (0.865063366688984510732096688423493, 0.075039674810919952767043140916190),
    (0.780817726586416897063717578345042, 0.093125454583697605535065465083366),
    (0.679409568299024406234327365114874, 0.109387158802297641899210590325805),
    (0.562757134668604683339000099272694, 0.123491976262065851077958109831074),
    (0.433395394129247190799265943165784, 0.134709217311473325928054001771707),
    (0.294392862701460198131126603103866, 0.142775938577060080797094273138717),
    (0.148874338981631210884826001129720, 0.147739104901338491374841515972068),
    (0.0, 0.149445554002916905664936468389821),
)


def lms_weights(grid: Grid, order: int) -> list[list[float]]:
    """For each step, the integrals over sigma of the Lagrange polynomials through up to ``order`` latest points.

    Over float64 tables they are exact. Over float32 tables they carry the rounding of diffusers, which integrates
    float32 values by quadrature: where sigmas crowd, as the beta respacing's do, a run amplifies it 10,000 times.
    """
    sigma = grid.tensor("sigma")
    rows = []
    for i in range(grid.steps):
        oldest, t0, t1 = max(i + 1 - order, min(grid.begin, i)), float(sigma[i]), float(sigma[i + 1])
        nodes = sigma[oldest : i + 1].flip(0)
        if sigma.dtype == torch.float64:
            rows.append(adams_bashforth(nodes.tolist(), t0, t1))
        else:
            rows.append([_quadrature(nodes, k, t0, t1) for k in range(len(nodes))])
    return rows


def _quadrature(nodes: torch.Tensor, k: int, t0: float, t1: float) -> float:
    """Integral from t0 to t1 of the polynomial that is 1 at node ``k`` and 0 at the others, by values in float32."""
    points = torch.tensor([sign * x for x, _ in _RULE for sign in (1, -1)][:-1], dtype=torch.float64)
    weights = torch.tensor([w for _, w in _RULE for _ in (1, -1)][:-1], dtype=torch.float64)
    tau = (0.5 * (t0 + t1) + 0.5 * (t1 - t0) * points).to(nodes.dtype)
    values = torch.ones_like(tau)
    for j, node in enumerate(nodes):
        if j != k:
            values = values * ((tau - node) / (nodes[k] - node))
    return float(0.5 * (t1 - t0) * (weights * values.double()).sum())
