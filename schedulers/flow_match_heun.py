"""Heun's method on a straight path."""

from __future__ import annotations

from math import inf

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.grids.flow_grid import PLAIN_FLOW_DEFAULTS, flow_grid
from samplegraph.schedulers.steps.churn import Churn
from samplegraph.schedulers.steps.first_order import slope, velocity


class FlowMatchHeun(Scheduler):
    """Heun's second-order method, Karras et al. 2022 (arXiv:2206.00364), Algorithm 2, on the flow-matching path.

    2 NFE per step and 1 in the last: 2N - 1; with churn 1 noise per evaluation. Order 2. As in diffusers churn adds
    its noise after the model has seen the sample, and that drawn for the second evaluation reaches nothing.

    Args:
        s_churn: amount of churn, spread over the 2N - 1 evaluations; each raises sigma by at most a factor sqrt(2).
        s_tmin, s_tmax: range of sigmas in which there is churn.
        s_noise: deviation of the noise that churn adds.
    """

    order = 2
    default_prediction_type = "flow_prediction"
    diffusers_class = "FlowMatchHeunDiscreteScheduler"
    paper = "arXiv:2206.00364"
    grid_defaults = PLAIN_FLOW_DEFAULTS
    build_grid = staticmethod(flow_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = inf,
        s_noise: float = 1.0,
    ) -> None:
        super().__init__(grid, prediction)
        self.churn = Churn(grid, 2 * grid.steps - 1, s_churn, s_tmin, s_tmax, s_noise)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        churn, p, sigma = self.churn, denoise(x, i), self.grid.sigma
        first, churned = slope(x, p.x0, float(sigma[i])), churn.at(i)
        if churned:
            x = churn.moved(i, x, noise)
            first = (float(sigma[i]) / churn.raised[i]) * velocity(p)
        ahead = x + churn.change[i] * first
        if i + 1 == self.steps:
            return ahead, state
        second = slope(ahead, denoise(ahead, i + 1).x0, float(sigma[i + 1]))
        if churned:
            noise()
        return x + churn.change[i] * ((first + second) / 2.0), state
