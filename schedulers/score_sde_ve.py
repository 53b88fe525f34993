"""Predictor and Langevin corrector of the variance-exploding SDE."""

from __future__ import annotations

from math import inf
from typing import Any

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag, in_range, whole
from samplegraph.schedulers.grids.sde_grid import SDE_DEFAULTS, ve_sde_grid
from samplegraph.schedulers.steps.tensors import row_norms


class ScoreSdeVE(Scheduler):
    """Predictor-corrector sampling of the VE SDE, Song et al. 2021 (arXiv:2011.13456): in each step
    ``correct_steps`` of annealed Langevin dynamics (Algorithm 4), then reverse diffusion (eq. 47). Returns the mean of
    the last step; its noise is drawn all the same.

    ``correct_steps + 1`` NFE and as many noises per step. Order 1. Not affine: the corrector's step length depends on
    the norms of the score and of the noise, as in diffusers on their means *over the batch*, so that a sample
    depends on the others in its batch (and on the rows that pad it).

    A model without a noise schedule is told sigma and returns the score; the score of any other is -eps / sigma.

    Args:
        snr: ratio of the corrector's step to the score, the paper's r.
        correct_steps: Langevin steps in front of each predictor step.
        per_sample: take each sample's own norms.
    """

    default_prediction_type = "score"
    diffusers_class = "ScoreSdeVeScheduler"
    paper = "arXiv:2011.13456"
    grid_defaults = {**SDE_DEFAULTS, "sigma_min": 0.01, "sigma_max": 1348.0, "sampling_eps": 1e-5}
    build_grid = staticmethod(ve_sde_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        snr: float = 0.15,
        correct_steps: int = 1,
        per_sample: bool = False,
    ) -> None:
        super().__init__(grid, prediction)
        self.snr = in_range("snr", snr, 0.0, inf)
        self.correct_steps = whole("correct_steps", correct_steps, 0)
        self.per_sample = flag("per_sample", per_sample)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        sigma = float(self.grid.sigma[i])
        for _ in range(self.correct_steps):
            score, z = denoise(x, i).eps / -sigma, noise()
            length: Any = (self.snr * self._norm(z) / self._norm(score)) ** 2 * 2
            x = x + length * score + (length * 2) ** 0.5 * z
        mean = x + float(self.grid.own["added"][i]) * (denoise(x, i).eps / -sigma)
        sample = mean + float(self.grid.own["diffusion"][i]) * noise()
        return (mean if i + 1 == self.steps else sample), state

    def _norm(self, x: X) -> Any:
        norms = row_norms(x)
        return norms if self.per_sample else norms.mean()
