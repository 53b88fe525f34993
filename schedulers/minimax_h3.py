"""Euler's method on a straight path that is counted from the noise."""

from __future__ import annotations

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.sigmas import custom_sigmas
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.steps.first_order import along_the_pair


class MiniMaxH3(Scheduler):
    """Euler steps of MiniMax's video models: ``flow_match_euler`` (arXiv:2210.02747) with a strong shift, for a network
    that is told ``1 - sigma`` and predicts ``x0 - eps``.

    1 NFE per step, no noise. Order 1. diffusers counts the end as a step: its N are N - 1 here.
    """

    default_prediction_type = "flow_prediction"
    diffusers_class = "MiniMaxH3Scheduler"
    diffusers_extra_steps = 1
    paper = "arXiv:2210.02747"
    grid_defaults = {"shift": 12.0, "sigmas": None, "exact_tables": False}

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        if options.sigmas is not None:
            sigma = torch.from_numpy(custom_sigmas(options))
            if sigma[-1] != 0 or sigma[0] > 1:
                raise OptionError(f"sigmas={tuple(options.sigmas)} have to descend from at most 1 to 0, the last one")
        else:
            sigma = options.flow.constant(torch.linspace(1.0, 0.0, steps + 1, dtype=options.torch_dtype))
        alpha = widened(1.0 - sigma)
        return Grid(
            steps=len(sigma) - 1,
            family="flow",
            schedule=None,
            timesteps=alpha[:-1],
            alpha=alpha,
            sigma=widened(sigma),
            preconditioned={"flow_prediction": (np.ones(len(sigma) - 1), 1.0 - alpha[:-1])},
            dtype=options.torch_dtype,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        return along_the_pair(denoise(x, i), alpha_next, sigma_next), state
