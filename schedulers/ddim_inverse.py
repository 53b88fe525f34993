"""DDIM run backwards, from an image to its noise."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.options import COMMON_BETAS, TIMESTEP_DEFAULTS
from samplegraph.schedulers.grids.timestep_grid import visited, vp_grid
from samplegraph.schedulers.prediction import CLIP_DEFAULTS


class DDIMInverse(Scheduler):
    """DDIM inversion, Song et al. 2021 (arXiv:2010.02502), eq. 16 in the direction of the noise (appendix F).

    ``init_sample`` is the image, the output the noise from which DDIM leads back to about that image.
    1 NFE per step, no noise. Order 1. A step goes from ``t - T // N`` to ``t`` and asks the model at ``t``, where it
    arrives; the first starts at abar = 1 with ``set_alpha_to_one``, else at that of timestep 0.
    """

    inverts = True
    no_start = "it runs from the image to its noise, all the way; leave it out, and sample with ddim from there"
    diffusers_class = "DDIMInverseScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS}
    paper = "arXiv:2010.02502"
    grid_defaults = {**TIMESTEP_DEFAULTS, "set_alpha_to_one": True}
    prediction_defaults = {"prediction_type": None, **CLIP_DEFAULTS}

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        if grid.sigma[0] == 0 and prediction.prediction_type == "sample":
            raise OptionError(
                "prediction_type='sample' says nothing of eps in the first step, which starts at sigma = 0; set "
                "set_alpha_to_one=False"
            )

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        if options.timestep_spacing == "linspace":
            raise OptionError("timestep_spacing='linspace' is not known to ddim_inverse; choose leading or trailing")
        t = visited(steps, options)[::-1].copy()
        came_from = t - options.schedule.num_train_timesteps // steps
        return replace(vp_grid(options, came_from, t, alpha_to_one=options.set_alpha_to_one), timesteps=t)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        p = denoise(x, i)
        return alpha_next * p.x0 + sigma_next * p.eps, state
