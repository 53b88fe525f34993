"""DPM-Solver and DPM-Solver++, multistep."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, expm1, sqrt
from typing import ClassVar

from samplegraph.schedulers.base import Denoise, Noise, Scheduler, State
from samplegraph.schedulers.errors import OptionError, flag, one_of, whole
from samplegraph.schedulers.grid import Grid
from samplegraph.schedulers.options import COMMON_BETAS, SIGMA_DEFAULTS, GridOptions
from samplegraph.schedulers.phi import phi
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS, PredictionOptions
from samplegraph.schedulers.sigma_grid import dpm_grid
from samplegraph.schedulers.vector import X

ALGORITHMS = ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver")


class DPMMultistep(Scheduler):
    """Exponential multistep integrators in lambda = log(alpha/sigma): DPM-Solver (arXiv:2206.00927) on eps,
    DPM-Solver++ (arXiv:2211.01095, Algorithm 2) on x0, and their SDE forms (there, section 5).

    1 NFE per step; 1 noise per step for ``sde-``. Order ``solver_order`` after a warm-up by the lower orders, but
    3 converges with order 2 and, for ``sde-dpmsolver++``, with order 1, as in diffusers. ``solver_order=1`` is
    DDIM, with eta = 1 for ``sde-dpmsolver++``.

    Args:
        solver_order: 1, 2 or 3.
        algorithm_type: one of ``ALGORITHMS``; the last two need ``final_sigmas_type="sigma_min"``.
        solver_type: ``midpoint`` or ``heun``, how the second order weighs the difference of two outputs.
        lower_order_final: descend to order 2 and 1 in the last two steps of fewer than 15.
        euler_at_final: take the last step with order 1.
    """

    diffusers_class = "DPMSolverMultistepScheduler"
    diffusers_values: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "beta_schedule": COMMON_BETAS,
        "respacing": ("karras", "exponential", "beta", "lu"),
    }
    diffusers_aliases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "algorithm_type": {"deis": "dpmsolver++"},
        "solver_type": {"logrho": "midpoint", "bh1": "midpoint", "bh2": "midpoint"},
    }
    paper = "arXiv:2211.01095"
    grid_defaults: ClassVar[Mapping[str, object]] = {
        **SIGMA_DEFAULTS,
        "final_sigmas_type": "zero",
        "lambda_min_clipped": float("-inf"),
    }
    prediction_defaults: ClassVar[Mapping[str, object]] = {"prediction_type": None, **THRESHOLD_DEFAULTS}

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
    ) -> None:
        super().__init__(grid, prediction)
        self.solver_order = whole("solver_order", solver_order, 1, 3)
        self.algorithm_type = one_of("algorithm_type", algorithm_type, ALGORITHMS)
        self.order = 1 if (solver_order, algorithm_type) == (3, "sde-dpmsolver++") else min(solver_order, 2)
        self.on_x0 = algorithm_type.endswith("++")
        self.stochastic = algorithm_type.startswith("sde")
        self.solver_type = one_of("solver_type", solver_type, ("midpoint", "heun"))
        few = flag("lower_order_final", lower_order_final) and self.steps < 15
        first = flag("euler_at_final", euler_at_final) or few or grid.sigma[-1] == 0
        self.final_orders = {self.steps - 1: 1 if first else 3, self.steps - 2: 2 if few else 3}
        self._check()

    @classmethod
    def build_grid(cls, steps: int, options: GridOptions) -> Grid:
        return dpm_grid(steps, options)

    def order_at(self, i: int) -> int:
        """Order of step ``i``: limited by the history, and at the end by the ``..._final`` options."""
        return min(self.solver_order, i + 1, self.final_orders.get(i, 3))

    def _check(self) -> None:
        if self.grid.sigma[-1] == 0 and not self.on_x0:
            raise OptionError(
                f"algorithm_type={self.algorithm_type!r} cannot end at sigma = 0, where lambda is infinite; set "
                "final_sigmas_type='sigma_min' or choose algorithm_type='dpmsolver++'"
            )
        for i in range(self.steps):
            order = self.order_at(i)
            if order == 3 and self.algorithm_type == "sde-dpmsolver":
                raise OptionError("solver_order=3 is not defined for algorithm_type='sde-dpmsolver'; give 1 or 2")
            still = self.grid.lam[i + 1] == self.grid.lam[i]
            if still and (order == 3 or (order == 2 and self.solver_type == "heun")):
                raise OptionError(
                    f"sigmas {i} and {i + 1} are equal: a step of length 0, which gives NaN in order {order}; "
                    "choose another timestep_spacing or final_sigmas_type='zero'"
                )

    def init(self, x: X) -> State[X]:
        """The ``solver_order - 1`` latest outputs, newest first."""
        return (x * 0.0,) * (self.solver_order - 1)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        alpha, sigma, alpha_next, sigma_next = self.pair(i)
        h = float(self.grid.lam[i + 1] - self.grid.lam[i])
        p = denoise(x, i)
        if self.on_x0:
            m = p.x0
        else:
            m = (x - alpha * p.x0) / sigma if self.prediction.thresholding else p.eps
        keep, weights, std = self._coefficients(self.order_at(i), h, alpha, sigma, alpha_next, sigma_next)
        x = keep * x
        for weight, difference in zip(weights, self._differences(i, h, (m, *state)), strict=False):
            x = x + weight * difference
        if self.stochastic:
            x = x + std * noise()
        return x, (m, *state)[: self.solver_order - 1]

    def _coefficients(
        self, order: int, h: float, alpha: float, sigma: float, alpha_next: float, sigma_next: float
    ) -> tuple[float, list[float], float]:
        """Factors of x, of the ``order`` differences, and of the noise; h is infinite where sigma_next is 0."""
        k = 2.0 if self.stochastic else 1.0
        if self.on_x0:
            keep = sigma_next / sigma * (exp(-h) if self.stochastic else 1.0)
            scale, z, first = alpha_next * k * h, -k * h, -alpha_next * expm1(-k * h)
            std = sigma_next * sqrt(-expm1(-2 * h))
        else:
            keep = alpha_next / alpha
            scale, z, first = -sigma_next * k * h, h, -sigma_next * k * expm1(h)
            std = sigma_next * sqrt(expm1(2 * h))
        if order == 1:
            return keep, [first], std
        if order == 2:
            return keep, [first, first / 2 if self.solver_type == "midpoint" else scale * phi(2, z)], std
        third = -alpha_next * (phi(2, z) + 0.5) if self.on_x0 and self.stochastic else scale * phi(3, z)
        return keep, [first, scale * phi(2, z), third], std

    def _differences(self, i: int, h: float, outputs: tuple[X, ...]) -> list[X]:
        """The newest output and its divided differences over lambda, times powers of h."""
        lam, order = self.grid.lam, self.order_at(i)
        if order == 1:
            return [outputs[0]]
        h_0 = float(lam[i] - lam[i - 1])
        d_0 = (h / h_0) * (outputs[0] - outputs[1])
        if order == 2:
            return [outputs[0], d_0]
        h_1 = float(lam[i - 1] - lam[i - 2])
        d_1 = (h / h_1) * (outputs[1] - outputs[2])
        bend = d_0 - d_1
        return [outputs[0], d_0 + (h_0 / (h_0 + h_1)) * bend, (h / (h_0 + h_1)) * bend]
