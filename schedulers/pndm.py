"""PNDM."""

from __future__ import annotations

import torch

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.grids.options import COMMON_BETAS, TIMESTEP_DEFAULTS
from samplegraph.schedulers.grids.pndm_grid import pndm_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.weights.adams_bashforth import equal_steps


class PNDM(Scheduler):
    """Pseudo numerical methods for diffusion models, Liu et al. 2022 (arXiv:2202.09778), Algorithm 2 (F-PNDM).

    DDIM steps (eq. 11) along outputs extrapolated by Adams-Bashforth. The first three steps are pseudo Runge-Kutta,
    4 NFE each: N + 9 in all, at least 4 steps. With ``skip_prk_steps`` the first step is pseudo Heun instead: N + 1
    NFE (1 for N = 1). No noise. Order 2, as the lower orders of a transfer dominate. As in diffusers, a step leads to
    ``t - T // N``, and the half steps of the warm-up miss the model's timestep by one where ``T // N`` is odd.

    With ``prediction_type="v_prediction"`` the v outputs are extrapolated, as in diffusers, else eps.
    """

    diffusers_class = "PNDMScheduler"
    diffusers_values = {
        "beta_schedule": COMMON_BETAS,
        "prediction_type": ("epsilon", "v_prediction"),
        "rescale_betas_zero_snr": (False,),
    }
    paper = "arXiv:2202.09778"
    order = 2
    grid_defaults = {**TIMESTEP_DEFAULTS, "skip_prk_steps": False, "set_alpha_to_one": False}
    build_grid = staticmethod(pndm_grid)

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        self.on_v = prediction.prediction_type == "v_prediction"
        start, end = (torch.from_numpy(grid.own[name]).to(grid.dtype) for name in ("abar_start", "abar_end"))
        scale = start * (1 - end) ** 0.5 + (start * (1 - start) * end) ** 0.5
        tables = ((end / start) ** 0.5, end - start, scale, start**0.5, (1 - start) ** 0.5)
        self.moves = [[floats(row) for row in table] for table in tables]

    def init(self, x: X) -> State[X]:
        """The outputs of the three latest steps, newest first."""
        return (x * 0.0,) * 3

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        m = self.output(denoise, x, i)
        if self.grid.points > self.steps and (taken := self.taken(i)) < 3:
            middle = self.steps + taken
            m1 = self.output(denoise, self.move(i, 0, x, m), middle)
            m2 = self.output(denoise, self.move(i, 1, x, m1), middle)
            m3 = self.output(denoise, self.move(i, 2, x, m2), i + 1)
            slope = (1 / 6) * m + (1 / 3) * m1 + (1 / 3) * m2 + (1 / 6) * m3
            return self.move(i, 2, x, slope), (m, *state[:2])
        if self.grid.points == self.steps and self.taken(i) == 0 and i + 1 < self.steps:
            ahead = self.output(denoise, self.move(i, 0, x, m), i + 1)
            return self.move(i, 2, x, (ahead + m) / 2.0), (m, *state[:2])
        return self.move(i, 2, x, equal_steps((m, *state)[: self.taken(i) + 1])), (m, *state[:2])

    def output(self, denoise: Denoise[X], x: X, point: int) -> X:
        """What is extrapolated: eps, or the v that a model of this prediction type gave."""
        p = denoise(x, point)
        return float(self.grid.alpha[point]) * p.eps - float(self.grid.sigma[point]) * p.x0 if self.on_v else p.eps

    def move(self, i: int, which: int, x: X, m: X) -> X:
        """The ``which``-th transfer of step ``i`` (eq. 11) from ``x`` along output ``m``."""
        keep, gain, scale, alpha, sigma = (table[i][which] for table in self.moves)
        eps = alpha * m + sigma * x if self.on_v else m
        return keep * x - (gain * eps) / scale
