"""Euler's method."""

from __future__ import annotations

from math import inf

import torch

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag
from samplegraph.schedulers.grids.midpoint_grid import with_sigmas
from samplegraph.schedulers.grids.options import COMMON_BETAS, COMMON_RESPACINGS, SIGMA_DEFAULTS
from samplegraph.schedulers.grids.sigma_grid import k_diffusion_grid
from samplegraph.schedulers.steps.churn import Churn
from samplegraph.schedulers.steps.first_order import euler, renoised_apart


class Euler(Scheduler):
    """Euler's method on dx/dsigma = eps, Karras et al. 2022 (arXiv:2206.00364), Algorithm 2 with first-order steps.

    1 NFE per step; 1 noise in each step with churn, none by default. Order 1. Without churn the same formula as
    DDIM with eta = 0, on a grid with alpha = 1. As in diffusers, churn adds its noise after the model has seen
    the sample, which costs order and variance.

    Args:
        s_churn: amount of churn, spread over the steps; each raises sigma by at most a factor sqrt(2).
        s_tmin, s_tmax: range of sigmas in which there is churn.
        s_noise: deviation of the noise that churn adds.
        corrected: add it before, and ask the model at the raised sigma, as the paper does.
        cfg_pp: CFG++, Chung et al. 2024 (arXiv:2406.08070), Algorithm 2: the guided x0 meets the unconditional eps.
            Its guidance scales lie between 0 and 1.
    """

    diffusers_class = "EulerDiscreteScheduler"
    k_diffusion = "sample_euler"
    diffusers_values = {"beta_schedule": COMMON_BETAS, "respacing": COMMON_RESPACINGS}
    diffusers_aliases = {"prediction_type": {"original_sample": "sample"}}
    paper = "arXiv:2206.00364"
    grid_defaults = {
        **SIGMA_DEFAULTS,
        "final_sigmas_type": "zero",
        "interpolation_type": "linear",
        "timestep_type": "discrete",
        "prediction_type": None,
    }
    build_grid = staticmethod(k_diffusion_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = inf,
        s_noise: float = 1.0,
        corrected: bool = False,
        cfg_pp: bool = False,
    ) -> None:
        spread = float(grid.own["laid_out"][0]) if "laid_out" in grid.own else grid.steps
        self.churn = Churn(grid, spread, s_churn, s_tmin, s_tmax, s_noise)
        self.ahead = flag("corrected", corrected) and s_churn > 0
        self.apart = flag("cfg_pp", cfg_pp)
        if self.apart and s_churn:
            raise OptionError(f"cfg_pp=True is not defined with s_churn={s_churn!r}; give s_churn=0")
        if s_churn and not self.ahead and prediction.prediction_type is None:
            raise OptionError(
                f"s_churn={s_churn!r} needs prediction_type: the noise it adds after the model has seen the "
                "sample is read differently for each"
            )
        raised = torch.tensor(self.churn.raised, dtype=grid.dtype)
        super().__init__(with_sigmas(grid, raised) if self.ahead else grid, prediction)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, sigma, alpha_next, sigma_next = self.pair(i)
        churn = self.churn
        if self.apart:
            return renoised_apart(denoise(x, i), alpha_next, sigma_next), state
        if not churn.at(i):
            return euler(x, denoise(x, i).x0, sigma, sigma_next - sigma), state
        if self.ahead:
            moved = churn.moved(i, x, noise)
            p = denoise(moved, self.steps + i)
            return euler(moved, p.x0, churn.raised[i], churn.change[i]), state
        p = denoise(x, i)
        moved = churn.moved(i, x, noise)
        match self.prediction.prediction_type:
            case "epsilon":
                x0 = moved - churn.raised[i] * p.eps
            case "sample":
                x0 = p.x0
            case _:
                x0 = p.x0 + (moved - x) / (sigma**2 + 1)
        return euler(moved, x0, churn.raised[i], churn.change[i]), state
