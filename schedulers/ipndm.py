"""iPNDM."""

from __future__ import annotations

from math import pi

import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import flag
from samplegraph.schedulers.grids.sigmas import custom_sigmas
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.weights.adams_bashforth import equal_steps


class IPNDM(Scheduler):
    """Improved PNDM: DDIM steps along eps extrapolated by Adams-Bashforth of order 1 to 4, without a warm-up.

    Zhang and Chen 2022 (arXiv:2204.13902), section 3.2, for the name; the grid is that of Katherine Crowson's
    v-diffusion: sigma = sin(pi s / 2)^2 for s from 1 to 0, timesteps in (0, 1]. A model that does not say what it
    predicts is taken to predict v. No noise. Order 2: the lower orders of the start dominate. The first sample is
    noise without signal, its own eps: diffusers moves along it and drops the x0 that the model predicts, so that the
    first step needs no evaluation, and a run of N steps N - 1 NFE.

    Args:
        corrected: take x0 from the model in the first step too (N NFE): exact for a constant x0, as DDIM is.
    """

    diffusers_class = "IPNDMScheduler"
    paper = "arXiv:2204.13902"
    order = 2
    default_prediction_type = "v_prediction"
    grid_defaults = {"num_train_timesteps": 1000, "sigmas": None, "exact_tables": False}

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, corrected: bool = False) -> None:
        super().__init__(grid, prediction)
        self.corrected = flag("corrected", corrected)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        """Custom ``sigmas`` are noise-to-signal ratios."""
        dtype = options.torch_dtype
        if options.sigmas is None:
            sigma = torch.sin(torch.linspace(1, 0, steps + 1, dtype=dtype) * pi / 2) ** 2
        else:
            ratio = torch.from_numpy(custom_sigmas(options)).to(dtype)
            sigma = ratio / torch.sqrt(1 + ratio**2)
        alpha = (1.0 - sigma**2) ** 0.5
        timesteps = torch.atan2(sigma, alpha) / pi * 2
        return Grid(
            steps=steps,
            family="vp",
            schedule=None,
            timesteps=widened(timesteps[:-1]),
            alpha=widened(alpha),
            sigma=widened(sigma),
            dtype=dtype,
        )

    def init(self, x: X) -> State[X]:
        """The eps of the three latest steps, newest first."""
        return (x * 0.0,) * 3

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        alpha, sigma, alpha_next, sigma_next = self.pair(i)
        if alpha == 0 and not self.corrected:
            return sigma_next * x, (x, *state[:2])
        p = denoise(x, i)
        history = (p.eps, *state)
        eps = equal_steps(history[: self.taken(i) + 1])
        x0 = p.x0 if i == 0 else (x - sigma * eps) / max(alpha, 1e-8)
        return alpha_next * x0 + sigma_next * eps, history[:3]
