"""Continuous-time consistency models on trigonometric flows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag
from samplegraph.schedulers.grids.spacing import numbers, shown
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.steps.first_order import renoised


class SCM(Scheduler):
    """Multistep sampling of sCM, Lu and Song 2024 (arXiv:2410.11081), on TrigFlow: ``x = cos(t) x0 + sin(t) z`` with z
    of the data's deviation ``sigma_data``.

    1 NFE and 1 noise per step (also in the last, where its coefficient is 0). For a consistency model; a solver of no
    order for another. The timestep is t, the output v: ``x0 = cos(t) x - sin(t) v``.

    Args:
        corrected: begin with noise of deviation ``sigma_data``. diffusers leaves that to the pipeline, and so begins
            with unit noise.
    """

    default_prediction_type = "v_prediction"
    diffusers_class = "SCMScheduler"
    diffusers_ignored = ("prediction_type",)
    diffusers_arguments = {"timesteps": "angles"}
    paper = "arXiv:2410.11081"
    grid_defaults = {
        "num_train_timesteps": 1000,
        "sigma_data": 0.5,
        "max_timesteps": 1.5708,
        "intermediate_timesteps": 1.3,
        "angles": None,
        "exact_tables": False,
    }
    prediction_defaults = {}

    def __init__(self, grid: Grid, prediction: PredictionOptions, *, corrected: bool = False) -> None:
        self.deviation = float(grid.own["sigma_data"][0])
        begin = self.deviation if flag("corrected", corrected) else 1.0
        super().__init__(replace(grid, init_noise_sigma=begin), prediction)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        most = options.max_timesteps or 1.5708
        if options.angles is not None:
            t = torch.from_numpy(numbers("angles", options.angles)).to(options.torch_dtype)
        elif options.intermediate_timesteps not in (None, 1.3) and steps != 2:
            raise OptionError(f"intermediate_timesteps={options.intermediate_timesteps!r} needs steps=2; leave it out")
        elif steps == 2 and options.intermediate_timesteps is not None:
            t = torch.tensor([most, options.intermediate_timesteps, 0.0], dtype=options.torch_dtype)
        else:
            t = torch.linspace(most, 0, steps + 1, dtype=options.torch_dtype)
        if not bool((t[1:] < t[:-1]).all()) or t[-1] < 0 or t[0] > np.pi / 2 + 1e-3:
            raise OptionError(
                f"timesteps {shown(t.tolist())} are not allowed; give angles that descend from at most pi/2, the last "
                "one, where sampling ends, included"
            )
        return Grid(
            steps=len(t) - 1,
            family="vp",
            schedule=None,
            timesteps=widened(t[:-1]),
            alpha=widened(torch.cos(t).clamp(min=0.0)),
            sigma=widened(torch.sin(t)),
            preconditioned={"v_prediction": (widened(torch.cos(t[:-1])), -widened(torch.sin(t[:-1])))},
            own={"sigma_data": np.array([options.sigma_data])},
            dtype=options.torch_dtype,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        return renoised(denoise(x, i).x0, self.deviation * noise(), alpha_next, sigma_next), state
