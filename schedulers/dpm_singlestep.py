"""DPM-Solver and DPM-Solver++, singlestep."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, one_of, whole
from samplegraph.schedulers.grids.options import SIGMA_DEFAULTS, SIGMA_VALUES
from samplegraph.schedulers.grids.solver_grid import FLOW_SIGMA_DEFAULTS, solver_grid
from samplegraph.schedulers.precision import floats
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.dpm_rule import DPM_ALIASES
from samplegraph.schedulers.weights.exponential import exponential_weights

ALGORITHMS = ("dpmsolver++", "sde-dpmsolver++", "dpmsolver")


class DPMSinglestep(Scheduler):
    """Exponential Runge-Kutta methods in lambda: DPM-Solver-2 and -3 (arXiv:2206.00927, Algorithms 4 and 5) on eps,
    DPM-Solver++ (arXiv:2211.01095, Algorithm 1) on x0, and the SDE form of the latter.

    ``solver_order`` grid steps form one step of the method: each goes anew from the first sample of its group, with
    one more output than the one before. 1 NFE per grid step; 1 noise per grid step for ``sde-``. Order
    ``solver_order``; for ``sde-`` 1, but with 3 and ``heun`` it does not converge, as in diffusers (a wrong sign).
    ``solver_order=1`` is DDIM, with eta = 1 for ``sde-dpmsolver++``.

    Args:
        solver_order: 1, 2 or 3.
        algorithm_type: one of ``ALGORITHMS``; ``dpmsolver`` needs ``final_sigmas_type="sigma_min"``.
        solver_type: ``midpoint`` or ``heun``, how differences of the outputs are weighed.
        lower_order_final: end with a shorter group. On in any case where a run ends at sigma = 0 or its steps are no
            multiple of ``solver_order``.
        corrected: the right sign: of order 1 then.
    """

    diffusers_class = "DPMSolverSinglestepScheduler"
    diffusers_values = SIGMA_VALUES
    diffusers_aliases = DPM_ALIASES
    paper = "arXiv:2211.01095"
    grid_defaults = {
        **{k: v for k, v in SIGMA_DEFAULTS.items() if k not in ("timestep_spacing", "steps_offset")},
        "final_sigmas_type": "zero",
        "lambda_min_clipped": float("-inf"),
        **FLOW_SIGMA_DEFAULTS,
    }
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        solver_order: int = 2,
        algorithm_type: str = "dpmsolver++",
        solver_type: str = "midpoint",
        lower_order_final: bool = False,
        corrected: bool = False,
    ) -> None:
        super().__init__(grid, prediction)
        self.solver_order = whole("solver_order", solver_order, 1, 3)
        self.on_x0 = one_of("algorithm_type", algorithm_type, ALGORITHMS).endswith("++")
        self.stochastic = algorithm_type.startswith("sde")
        self.midpoint = one_of("solver_type", solver_type, ("midpoint", "heun")) == "midpoint"
        wrong_sign = solver_order == 3 and not self.midpoint and not flag("corrected", corrected)
        self.order = int(not wrong_sign) if self.stochastic else solver_order
        if not self.on_x0:
            prediction.refuse_flow_on_eps(f"algorithm_type={algorithm_type!r}")
        at_zero = bool(grid.sigma[-1] == 0)
        if not self.on_x0 and (at_zero or prediction.thresholding):
            raise OptionError(
                "algorithm_type='dpmsolver' cannot end at sigma = 0 or threshold; set final_sigmas_type='sigma_min', "
                "thresholding=False, or choose algorithm_type='dpmsolver++'"
            )
        shorter = flag("lower_order_final", lower_order_final) or at_zero or self.steps % solver_order != 0
        self.orders = group_orders(self.steps, solver_order, shorter)
        if at_zero:
            self.orders[-1] = 1
        self.orders = [min(order, max(self.taken(i), 0) + 1) for i, order in enumerate(self.orders)]
        starts = [i + 1 - order for i, order in enumerate(self.orders)]
        self.weights = exponential_weights(
            grid, on_x0=self.on_x0, stochastic=self.stochastic, starts=starts, corrected=corrected
        )
        lam = grid.tensor("alpha").log() - grid.tensor("sigma").log()
        h, back = lam[1:] - lam[starts], [max(i - 1, 0) for i in range(self.steps)]
        r0, r1 = (lam[:-1] - lam[starts]) / h, (lam[back] - lam[starts]) / h
        self.ratios = [floats(row) for row in (1.0 / r0, 1.0 / r1, r0, r1, r0 - r1)]

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        return solver_grid(steps, replace(options, timestep_spacing="linspace"), round_cosine=True)

    def init(self, x: X) -> State[X]:
        """The first sample of the group and the ``solver_order - 1`` latest outputs, newest first."""
        return (x * 0.0,) * self.solver_order

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        p, w, order, (start, *outputs) = denoise(x, i), self.weights, self.orders[i], state
        over_r0, over_r1, r0, r1, apart = (row[i] for row in self.ratios)
        outputs = [p.x0 if self.on_x0 else p.eps, *outputs]
        if order == 1:
            start = x
        x = w.keep[i] * start + w.first[i] * outputs[order - 1]
        if order > 1:
            slope = over_r0 * (outputs[0] - outputs[order - 1])
        if order == 2:
            x = x + (0.5 * w.first[i] if self.midpoint else w.second[i]) * slope
        elif order == 3 and self.midpoint:
            x = x + w.second[i] * slope
        elif order == 3:
            early = over_r1 * (outputs[1] - outputs[2])
            x = x + w.second[i] * ((r0 * early - r1 * slope) / apart)
            x = x + w.third[i] * ((2.0 * (slope - early)) / apart)
        if self.stochastic:
            x = x + w.std[i] * noise()
        return x, (start, *outputs[: self.solver_order - 1])


def group_orders(steps: int, solver_order: int, shorter: bool) -> list[int]:
    """Orders of the grid steps: 1, 2, .., ``solver_order`` over and over; with ``shorter`` the end is not a whole
    group (arXiv:2206.00927, section 3.4)."""
    orders = [i % solver_order + 1 for i in range(steps)]
    if shorter and solver_order == 3 and steps % 3 == 0:
        orders[-3:] = [1, 2, 1]
    if shorter and solver_order == 2 and steps % 2 == 0:
        orders[-1] = 1
    return orders
