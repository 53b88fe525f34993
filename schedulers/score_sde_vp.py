"""The reverse SDE of the variance-preserving process."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag, in_range
from samplegraph.schedulers.grids.sde_grid import SDE_DEFAULTS, vp_sde_grid


class ScoreSdeVP(Scheduler):
    """Reverse diffusion of the VP SDE, Song et al. 2021 (arXiv:2011.13456), eq. 32 and the Euler-Maruyama form of
    eq. 6, over the times t = 1 .. ``sampling_eps``.

    1 NFE and 1 noise per step. Order 1. As in diffusers every step has length 1/N, though the times are
    (1 - sampling_eps) / (N - 1) apart, and the network predicts eps = -std * score. A model without a noise schedule
    is told t itself, one that declares one the timestep of the same noise-to-signal ratio.

    Args:
        timestep_scale: what t is multiplied with before the model is told; 999 for the models of the paper.
        noise_removal: return the mean of the last step (the paper's appendix G); its noise is drawn all the same.
    """

    diffusers_class = "ScoreSdeVpScheduler"
    paper = "arXiv:2011.13456"
    grid_defaults = {**SDE_DEFAULTS, "beta_min": 0.1, "beta_max": 20.0}
    build_grid = staticmethod(vp_sde_grid)

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, timestep_scale: float = 1.0, noise_removal: bool = True
    ) -> None:
        scale = in_range("timestep_scale", timestep_scale, 0.0, float("inf"))
        super().__init__(replace(grid, timesteps=scale * grid.timesteps), prediction)
        self.noise_removal = flag("noise_removal", noise_removal)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        beta, std = float(self.grid.own["beta"][i]), float(self.grid.sigma[i])
        score = denoise(x, i).eps / -std
        drift = (-0.5 * beta) * x - float(self.grid.own["diffusion"][i]) ** 2 * score
        mean = x - drift / self.steps
        sample = mean + (float(self.grid.own["diffusion"][i]) * sqrt(1 / self.steps)) * noise()
        return (mean if self.noise_removal and i + 1 == self.steps else sample), state
