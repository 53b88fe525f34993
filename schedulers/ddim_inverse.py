"""DDIM run backwards, from an image to its noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import COMMON_BETAS, SCHEDULE_DEFAULTS, GridOptions
from samplegraph.schedulers.prediction import PredictionOptions
from samplegraph.schedulers.timestep_grid import levels, visited
from samplegraph.schedulers.vector import X


class DDIMInverse(Scheduler):
    """DDIM inversion, Song et al. 2021 (arXiv:2010.02502), eq. 16 in the direction of the noise (appendix F).

    The graph's ``noise`` input is the image, its output the noise from which DDIM leads back to about that image.
    1 NFE per step, no noise. Order 1. A step goes from ``t - T // N`` to ``t`` and asks the model at ``t``, where it
    arrives; the first starts at abar = 1 with ``set_alpha_to_one``, else at that of timestep 0.
    """

    diffusers_class = "DDIMInverseScheduler"
    diffusers_values: ClassVar[Mapping[str, tuple[object, ...]]] = {"beta_schedule": COMMON_BETAS}
    paper = "arXiv:2010.02502"
    grid_defaults: ClassVar[Mapping[str, object]] = {
        **SCHEDULE_DEFAULTS,
        "timestep_spacing": "leading",
        "steps_offset": 0,
        "set_alpha_to_one": True,
    }
    prediction_defaults: ClassVar[Mapping[str, object]] = {
        "prediction_type": None,
        "clip_sample": True,
        "clip_sample_range": 1.0,
    }

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        if grid.sigma[0] == 0 and prediction.prediction_type == "sample":
            raise OptionError(
                "prediction_type='sample' says nothing of eps in the first step, which starts at sigma = 0; set "
                "set_alpha_to_one=False"
            )

    @classmethod
    def build_grid(cls, steps: int, options: GridOptions) -> Grid:
        if options.timestep_spacing == "linspace":
            raise OptionError("timestep_spacing='linspace' is not known to ddim_inverse; choose leading or trailing")
        t = visited(steps, options)[::-1].copy()
        here = levels(options, t - options.schedule.num_train_timesteps // steps, alpha_to_one=options.set_alpha_to_one)
        there = levels(options, t, alpha_to_one=True)
        alpha, sigma = here**0.5, (1 - here) ** 0.5
        alpha_next, sigma_next = there**0.5, (1 - there) ** 0.5
        return Grid(
            steps=steps,
            family="vp",
            schedule=options.schedule,
            timesteps=t,
            alpha=np.append(alpha.double(), alpha_next[-1].double()),
            sigma=np.append(sigma.double(), sigma_next[-1].double()),
            alpha_next=alpha_next.double().numpy(),
            sigma_next=sigma_next.double().numpy(),
            dtype=options.torch_dtype,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        p = denoise(x, i)
        return alpha_next * p.x0 + sigma_next * p.eps, state
