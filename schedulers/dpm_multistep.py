"""DPM-Solver and DPM-Solver++, multistep."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, one_of, whole
from samplegraph.schedulers.exponential import exponential_weights
from samplegraph.schedulers.options import COMMON_BETAS, SIGMA_DEFAULTS
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS
from samplegraph.schedulers.sigma_grid import dpm_grid

ALGORITHMS = ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver")


class DPMMultistep(Scheduler):
    """Exponential multistep integrators in lambda = log(alpha/sigma): DPM-Solver (arXiv:2206.00927) on eps,
    DPM-Solver++ (arXiv:2211.01095, Algorithm 2) on x0, and their SDE forms (there, section 5).

    1 NFE per step; 1 noise per step for ``sde-``. Order ``solver_order`` after a warm-up by the lower orders, but
    3 converges with order 2 and, for ``sde-dpmsolver++``, with order 1, as in diffusers, whose second difference
    lacks a factor 2 and, there, has a wrong sign. ``solver_order=1`` is DDIM, with eta = 1 for ``sde-dpmsolver++``.

    Args:
        solver_order: 1, 2 or 3.
        algorithm_type: one of ``ALGORITHMS``; the last two need ``final_sigmas_type="sigma_min"``.
        solver_type: ``midpoint`` or ``heun``, how the second order weighs the difference of two outputs.
        lower_order_final: descend to order 2 and 1 in the last two steps of fewer than 15.
        euler_at_final: take the last step with order 1.
        corrected: weigh the second difference as the papers do: ``solver_order=3`` then has order 3, and 2 for
            ``sde-dpmsolver++``.
    """

    diffusers_class = "DPMSolverMultistepScheduler"
    k_diffusion = "sample_dpmpp_2m"
    diffusers_values = {
        "beta_schedule": COMMON_BETAS,
        "respacing": ("karras", "exponential", "beta", "lu"),
    }
    diffusers_aliases = {
        "algorithm_type": {"deis": "dpmsolver++"},
        "solver_type": {"logrho": "midpoint", "bh1": "midpoint", "bh2": "midpoint"},
    }
    paper = "arXiv:2211.01095"
    grid_defaults = {
        **SIGMA_DEFAULTS,
        "final_sigmas_type": "zero",
        "lambda_min_clipped": float("-inf"),
    }
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}
    build_grid = staticmethod(dpm_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        solver_order: int = 2,
        algorithm_type: str = "dpmsolver++",
        solver_type: str = "midpoint",
        lower_order_final: bool = True,
        euler_at_final: bool = False,
        corrected: bool = False,
    ) -> None:
        through_eps = prediction.thresholding and not algorithm_type.endswith("++")
        super().__init__(grid, replace(prediction, x0_through_eps=through_eps))
        self.solver_order = whole("solver_order", solver_order, 1, 3)
        self.algorithm_type = one_of("algorithm_type", algorithm_type, ALGORITHMS)
        self.twice = 2.0 if flag("corrected", corrected) else 1.0
        sde = algorithm_type == "sde-dpmsolver++"
        self.order = 2 + bool(corrected) - sde if solver_order == 3 else solver_order
        self.on_x0 = algorithm_type.endswith("++")
        self.stochastic = algorithm_type.startswith("sde")
        self.midpoint = one_of("solver_type", solver_type, ("midpoint", "heun")) == "midpoint"
        few = flag("lower_order_final", lower_order_final) and self.steps < 15
        first = flag("euler_at_final", euler_at_final) or few or grid.sigma[-1] == 0
        self.final_orders = {self.steps - 1: 1 if first else 3, self.steps - 2: 2 if few else 3}
        if grid.sigma[-1] == 0 and not self.on_x0:
            raise OptionError(
                f"algorithm_type={algorithm_type!r} cannot end at sigma = 0, where lambda is infinite; set "
                "final_sigmas_type='sigma_min' or choose algorithm_type='dpmsolver++'"
            )
        if algorithm_type == "sde-dpmsolver" and any(self.order_at(i) == 3 for i in self.indices):
            raise OptionError("solver_order=3 is not defined for algorithm_type='sde-dpmsolver'; give 1 or 2")
        self.weights = exponential_weights(
            grid, on_x0=self.on_x0, stochastic=self.stochastic, corrected=corrected
        )

    def order_at(self, i: int) -> int:
        """Order of step ``i``: limited by the history, and at the end by the ``..._final`` options."""
        return min(self.solver_order, self.taken(i) + 1, self.final_orders.get(i, 3))

    def init(self, x: X) -> State[X]:
        """The ``solver_order - 1`` latest outputs, newest first."""
        return (x * 0.0,) * (self.solver_order - 1)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        alpha, sigma, _, _ = self.pair(i)
        p, w, order = denoise(x, i), self.weights, self.order_at(i)
        if self.on_x0:
            m = p.x0
        else:
            m = (x - alpha * p.x0) / sigma if self.prediction.thresholding else p.eps
        x = w.keep[i] * x + w.first[i] * m
        if order == 2:
            second = 0.5 * w.first[i] if self.midpoint else w.second[i]
            x = x + second * (w.newer[i] * (m - state[0]))
        elif order == 3:
            slope = w.newer[i] * (m - state[0])
            change = slope - w.older[i] * (state[0] - state[1])
            x = x + w.second[i] * (slope + w.blend[i] * change) + w.third[i] * (self.twice * w.bend[i] * change)
        if self.stochastic:
            x = x + w.std[i] * noise()
        return x, (m, *state)[: self.solver_order - 1]
