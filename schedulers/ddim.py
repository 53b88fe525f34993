"""DDIM."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, in_range
from samplegraph.schedulers.grids.options import COMMON_BETAS, TIMESTEP_DEFAULTS
from samplegraph.schedulers.grids.timestep_grid import joined, strided_grid
from samplegraph.schedulers.precision import floats, root
from samplegraph.schedulers.prediction import CLIP_DEFAULTS, THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.first_order import along_the_pair


class DDIM(Scheduler):
    """Denoising diffusion implicit models, Song et al. 2021 (arXiv:2010.02502), eq. 12 and 16.

    1 NFE and, for eta > 0, 1 noise per step. Order 1. ``eta=1`` is DDPM with the fixed_small variance;
    ``eta=0`` is Euler's method in sigma/alpha, and DPM-Solver++ of order 1. A step leads to ``t - T // N`` as in
    diffusers, not to the next visited timestep: for linspace spacing, or N that does not divide T, they differ.

    Args:
        eta: weight of the noise put back at each step, in [0, 1].
        use_clipped_model_output: derive eps anew from the clipped x0.
        corrected: step to the next visited timestep.
        cfg_pp: CFG++, Chung et al. 2024 (arXiv:2406.08070), Algorithm 2: the guided x0 meets the unconditional eps.
            Its guidance scales lie between 0 and 1.
    """

    diffusers_class = "DDIMScheduler"
    diffusers_twins = ("DDIMParallelScheduler",)
    diffusers_values = {"beta_schedule": COMMON_BETAS}
    paper = "arXiv:2010.02502"
    grid_defaults = {**TIMESTEP_DEFAULTS, "set_alpha_to_one": True}
    prediction_defaults = {"prediction_type": None, **CLIP_DEFAULTS, **THRESHOLD_DEFAULTS}
    build_grid = staticmethod(strided_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        eta: float = 0.0,
        use_clipped_model_output: bool = False,
        corrected: bool = False,
        cfg_pp: bool = False,
    ) -> None:
        grid = joined(grid) if flag("corrected", corrected) else grid
        super().__init__(grid, prediction)
        self.eta = in_range("eta", eta, 0.0, 1.0)
        abar, abar_next = grid.tensor("abar"), grid.tensor("abar_next")
        std = self.eta * root((1 - abar_next) / (1 - abar) * (1 - abar / abar_next))
        self.std, self.direction = floats(std), floats(root(1 - abar_next - std**2))
        self.use_clipped_model_output = flag("use_clipped_model_output", use_clipped_model_output)
        self.apart = flag("cfg_pp", cfg_pp)
        if self.apart and use_clipped_model_output:
            raise OptionError("cfg_pp and use_clipped_model_output are both true; both choose eps, so give one")

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        alpha, sigma, alpha_next, _ = self.pair(i)
        p = denoise(x, i)
        eps = (x - alpha * p.x0) / sigma if self.use_clipped_model_output else (p.unguided if self.apart else p).eps
        x = along_the_pair(replace(p, eps=eps), alpha_next, self.direction[i])
        return (x + self.std[i] * noise() if self.eta else x), state
