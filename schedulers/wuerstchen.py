"""DDPM in continuous time, as Wuerstchen runs it."""

from __future__ import annotations

from math import pi

import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.spacing import numbers, shown
from samplegraph.schedulers.precision import floats, widened


class Wuerstchen(Scheduler):
    """Ancestral sampling of Wuerstchen and Stable Cascade, Pernias et al. 2023 (arXiv:2306.00637): DDPM
    (arXiv:2006.11239, Algorithm 2) on the cosine schedule of arXiv:2102.09672 in continuous time, t = 1 .. 0.

    1 NFE and 1 noise per step (also in the last, where its coefficient is 0). Order 1. abar is clamped to
    [0.0001, 0.9999], so that a little noise is left at the end. The network predicts eps, at t itself.

    The grid's options: ``scaler`` bends time towards the noise above 1 and towards the data below, ``s`` is the
    schedule's offset, ``times`` are times of one's own, with the last one, N + 1.
    """

    diffusers_class = "DDPMWuerstchenScheduler"
    diffusers_arguments = {"timesteps": "times"}
    paper = "arXiv:2306.00637"
    grid_defaults = {"scaler": 1.0, "s": 0.008, "times": None, "exact_tables": False}
    prediction_defaults = {}

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__(grid, prediction)
        abar, abar_next = grid.tensor("abar"), grid.tensor("abar_next")
        kept = abar / abar_next
        self.keep, self.share = floats((1.0 / kept).sqrt()), floats((1 - kept) / (1 - abar).sqrt())
        std = ((1 - kept) * (1.0 - abar_next) / (1.0 - abar)).sqrt()
        ended = torch.from_numpy(grid.own["ended"])
        self.std = floats(torch.where(ended, torch.zeros_like(std), std))

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        t = torch.linspace(1.0, 0.0, steps + 1, dtype=options.torch_dtype)
        if options.times is not None:
            t = torch.from_numpy(numbers("times", options.times)).to(options.torch_dtype)
        if not bool((t[1:] < t[:-1]).all()) or t[0] > 1 or t[-1] < 0:
            raise OptionError(f"times={shown(t.tolist())} are not allowed; give times that descend from at most 1 to 0")
        bent = 1 - (1 - t) ** options.scaler if options.scaler > 1 else t**options.scaler
        s = torch.tensor([options.s], dtype=options.torch_dtype)
        start = torch.cos(s / (1 + s) * pi * 0.5) ** 2
        abar = (torch.cos((bent + s) / (1 + s) * pi * 0.5) ** 2 / start).clamp(0.0001, 0.9999)
        return Grid(
            steps=len(t) - 1,
            family="vp",
            schedule=None,
            timesteps=widened(t[:-1]),
            alpha=widened(abar.sqrt()),
            sigma=widened((1 - abar).sqrt()),
            abar=widened(abar[:-1]),
            abar_next=widened(abar[1:]),
            own={"ended": (t[1:] == 0).numpy()},
            dtype=options.torch_dtype,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        mean = self.keep[i] * (x - self.share[i] * denoise(x, i).eps)
        return mean + self.std[i] * noise(), state
