"""Weights of linear multistep methods over any nodes, plain and exponential."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, factorial

from samplegraph.schedulers.vector import X
from samplegraph.schedulers.weights.phi import phi

#: Numerators and denominator of the weights for 1 to 4 equal steps, newest output first.
EQUAL_STEPS = (((1,), 1), ((3, -1), 2), ((23, -16, 5), 12), ((55, -59, 37, -9), 24))


def adams_bashforth(nodes: Sequence[float], t0: float, t1: float, rate: float = 0.0) -> list[float]:
    """Weights w with ``integral from t0 to t1 of exp(rate * (t1 - t)) f(t) dt = sum_k w[k] f(nodes[k])``.

    Exact for polynomials of a degree below the number of nodes: each weight is the integral of a Lagrange basis
    polynomial. ``rate=0`` gives the methods of Adams over nodes at any distance (Hairer, Norsett and Wanner, Solving
    Ordinary Differential Equations I, III.5): LMS with nodes in sigma, and 55/24, -59/24, 37/24, -9/24 for four equal
    steps, as in PNDM. With nodes in lambda, ``rate=1`` is DEIS (arXiv:2204.13902) and, from order 3, the predictor of
    UniPC (arXiv:2302.04867) on eps, ``rate=-1`` the latter on x0; a node at t1 makes its corrector.

    Raises:
        ZeroDivisionError: two nodes are equal.
    """
    moments = _moments(t1 - t0, rate, len(nodes))
    weights = []
    for k, node in enumerate(nodes):
        basis = [1.0]
        for j, other in enumerate(nodes):
            if j != k:
                pairs = zip([0.0, *basis], [*basis, 0.0], strict=True)
                basis = [(lower - (other - t0) * same) / (node - other) for lower, same in pairs]
        weights.append(sum(c * m for c, m in zip(basis, moments, strict=True)))
    return weights


def equal_steps(outputs: Sequence[X]) -> X:
    """Mean slope over the next step, extrapolated from up to 4 ``outputs`` at equal distances, newest first.

    Liu et al. 2022 (arXiv:2202.09778), eq. 12; rounded as diffusers does.
    """
    weights, denominator = EQUAL_STEPS[len(outputs) - 1]
    total = outputs[0] if len(outputs) == 1 else float(weights[0]) * outputs[0]
    for weight, output in zip(weights[1:], outputs[1:], strict=True):
        total = total + float(weight) * output
    return (1 / denominator) * total if denominator == 24 else total / float(denominator) if denominator > 1 else total


def _moments(h: float, rate: float, count: int) -> list[float]:
    """Integrals of ``exp(rate * (h - u)) u^j`` over u from 0 to h: ``h^(j+1) j! phi_(j+1)(rate * h)``.

    Only the first is finite for infinite h.
    """
    if count == 1 and rate:
        return [expm1(rate * h) / rate]
    return [h ** (j + 1) * factorial(j) * phi(j + 1, rate * h) for j in range(count)]
