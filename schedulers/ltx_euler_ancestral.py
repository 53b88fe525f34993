"""Ancestral Euler steps on a straight path."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, in_range
from samplegraph.schedulers.grids.flow_grid import PLAIN_FLOW_DEFAULTS, flow_grid, grid_of_sigmas
from samplegraph.schedulers.grids.sigmas import custom_sigmas
from samplegraph.schedulers.precision import floats


class LTXEulerAncestral(Scheduler):
    """ComfyUI's ``sample_euler_ancestral_RF``, as LTX-Video runs it (arXiv:2501.00103): on the path
    ``(1 - sigma) x0 + sigma eps`` a step goes below the next sigma and adds noise up to it.

    1 NFE per step; 1 noise in each step but the last. Order 1. ``eta=0`` is ``flow_match_euler``.

    Args:
        eta: how far below the next sigma a step goes, in [0, 1].
        s_noise: factor on the noise.
    """

    default_prediction_type = "flow_prediction"
    diffusers_class = "LTXEulerAncestralRFScheduler"
    diffusers_arguments = {"timesteps": "sigmas"}
    paper = "arXiv:2501.00103"
    grid_defaults = {**{k: v for k, v in PLAIN_FLOW_DEFAULTS.items() if k != "shift"}, "sigmas": None}

    def __init__(
        self, grid: Grid, prediction: PredictionOptions, *, eta: float = 1.0, s_noise: float = 1.0
    ) -> None:
        super().__init__(grid, prediction)
        self.eta, scale = in_range("eta", eta, 0.0, 1.0), in_range("s_noise", s_noise, 0.0, inf)
        sigma, there = grid.tensor("sigma")[:-1], grid.tensor("sigma_next")
        down = there * (1.0 + (there / sigma - 1.0) * self.eta)
        alpha, alpha_down = 1.0 - there, 1.0 - down
        tiny = 1e-12 if sigma.dtype == torch.float32 else 0.0  # as diffusers has it
        self.ratio = floats(torch.where(there < 1e-8, torch.zeros_like(there), down / sigma))
        noisy = self.eta > 0 and scale > 0
        self.draws = [noisy and bool(s >= 1e-8) for s in there]
        added = (there**2 - down**2 * alpha**2 / (alpha_down**2 + tiny)).clamp(min=0.0).sqrt()
        self.keep, self.std = floats(alpha / (alpha_down + tiny)), [scale * std for std in floats(added)]

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        if options.sigmas is None:
            return flow_grid(steps, options)
        sigma = torch.from_numpy(custom_sigmas(options))
        if sigma[0] > 1 or sigma[-1] > 1e-6:
            raise OptionError(f"sigmas={tuple(options.sigmas)} have to descend from at most 1 to 0, the last one")
        return replace(grid_of_sigmas(sigma[:-1], options), sigma=np.append(sigma[:-1].double().numpy(), 0.0))

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        ratio = self.ratio[i]
        x = ratio * x + (1.0 - ratio) * denoise(x, i).x0
        return (self.keep[i] * x + self.std[i] * noise() if self.draws[i] else x), state
