"""The one first-order step: Euler on every path, DDIM with eta = 0, DPM-Solver++ of order 1.

With the predicted pair held fixed, ``x = alpha x0 + sigma eps`` moves along its path: ``x' = alpha' x0 + sigma' eps``.
DDIM and flow matching write it so. Where alpha is linear in sigma (1 for Euler and EDM, 1 - sigma for flows) the path
has the slope ``dx/dsigma = (x - x0) / sigma``, and the same step is Euler's. DPM-Solver++(1) solves for x:
``x' = (sigma'/sigma) x + (alpha' - alpha sigma'/sigma) x0``. tests/schedulers/test_first_order.py compares them all.
"""

from __future__ import annotations

from samplegraph.schedulers.prediction import Prediction
from samplegraph.schedulers.vector import X


def along_the_pair(p: Prediction[X], alpha_next: float, sigma_next: float) -> X:
    """``alpha' x0 + sigma' eps``."""
    return alpha_next * p.x0 + sigma_next * p.eps


def renoised_apart(p: Prediction[X], alpha_next: float, sigma_next: float) -> X:
    """The step of CFG++ (arXiv:2406.08070, Algorithm 2): the guided x0 meets the unconditional eps."""
    return alpha_next * p.x0 + sigma_next * p.unguided.eps


def velocity(p: Prediction[X]) -> X:
    """``eps - x0``: the slope of a straight path, without the division that loses digits where sigma is small."""
    return p.eps - p.x0


def renoised(x0: X, noise: X, alpha_next: float, sigma_next: float) -> X:
    """``alpha' x0 + sigma' z`` with fresh noise z: the step of a consistency model (arXiv:2303.01469, Algorithm 1)."""
    return alpha_next * x0 + sigma_next * noise


def slope(x: X, x0: X, sigma: float) -> X:
    """``dx/dsigma`` on a path whose alpha is linear in sigma."""
    return (x - x0) / sigma


def euler(x: X, x0: X, sigma: float, change: float) -> X:
    """``x`` after sigma has changed by ``change`` along the slope."""
    return x + change * slope(x, x0, sigma)
