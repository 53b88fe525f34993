"""The multistep rule of DPM-Solver and DPM-Solver++, over whatever grid."""

from __future__ import annotations

from collections.abc import Mapping

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, one_of, whole
from samplegraph.schedulers.prediction import Prediction
from samplegraph.schedulers.steps.first_order import renoised_apart
from samplegraph.schedulers.weights.exponential import exponential_weights

ALGORITHMS = ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver")
#: What diffusers' classes of the family read as another value.
DPM_ALIASES: Mapping[str, Mapping[str | None, str]] = {
    "algorithm_type": {"deis": "dpmsolver++"},
    "solver_type": {"logrho": "midpoint", "bh1": "midpoint", "bh2": "midpoint"},
}


class DPMRule:
    """Exponential multistep integration in lambda = log(alpha/sigma): DPM-Solver (arXiv:2206.00927) on eps,
    DPM-Solver++ (arXiv:2211.01095, Algorithm 2) on x0, and their SDE forms (there, section 5).

    Args:
        solver_order: 1, 2 or 3.
        algorithm_type: one of ``ALGORITHMS``; the last two integrate eps and cannot end at sigma = 0.
        solver_type: ``midpoint`` or ``heun``, how the second order weighs the difference of two outputs.
        lower_order_final: descend to order 2 and 1 in the last two steps of fewer than 15.
        euler_at_final: take the last step with order 1.
        corrected: weigh the second difference as the papers do: ``solver_order=3`` then has order 3, and 2 for
            ``sde-dpmsolver++``.

    Raises:
        OptionError: a value is not allowed, or is not defined with another.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        solver_order: int,
        algorithm_type: str,
        solver_type: str,
        lower_order_final: bool,
        euler_at_final: bool,
        corrected: bool = False,
    ) -> None:
        self.grid = grid
        self.solver_order = whole("solver_order", solver_order, 1, 3)
        one_of("algorithm_type", algorithm_type, ALGORITHMS)
        self.twice = 2.0 if flag("corrected", corrected) else 1.0
        sde = algorithm_type == "sde-dpmsolver++"
        self.order = 2 + bool(corrected) - sde if solver_order == 3 else solver_order
        self.on_x0 = algorithm_type.endswith("++")
        self.stochastic = algorithm_type.startswith("sde")
        self.midpoint = one_of("solver_type", solver_type, ("midpoint", "heun")) == "midpoint"
        few = flag("lower_order_final", lower_order_final) and grid.steps < 15
        first = flag("euler_at_final", euler_at_final) or few or grid.sigma[-1] == 0
        self.final_orders = {grid.steps - 1: 1 if first else 3, grid.steps - 2: 2 if few else 3}
        if grid.sigma[-1] == 0 and not self.on_x0:
            raise OptionError(
                f"algorithm_type={algorithm_type!r} cannot end at sigma = 0, where lambda is infinite; set "
                "final_sigmas_type='sigma_min' or choose algorithm_type='dpmsolver++'"
            )
        if algorithm_type == "sde-dpmsolver":
            self.refuse_third(f"algorithm_type={algorithm_type!r}")
        self.weights = exponential_weights(grid, on_x0=self.on_x0, stochastic=self.stochastic, corrected=corrected)

    def refuse_third(self, where: str) -> None:
        """Refuse steps of order 3, which diffusers does not define for ``where``.

        Raises:
            OptionError: a step has order 3.
        """
        if any(self.order_at(i) == 3 for i in range(self.grid.begin, self.grid.steps)):
            raise OptionError(f"solver_order=3 is not defined for {where}; give 1 or 2")

    def refuse_beside_cfg_pp(self, algorithm_type: str, solver_type: str) -> None:
        """Refuse what has no CFG++ form.

        Raises:
            OptionError: an order above 2, or another rule than the midpoint one on x0 without noise.
        """
        wanted = {"solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint"}
        found = {"solver_order": self.solver_order, "algorithm_type": algorithm_type, "solver_type": solver_type}
        for name, value in found.items():
            if value != wanted[name] and (name, value) != ("solver_order", 1):
                raise OptionError(f"cfg_pp=True is not defined with {name}={value!r}; give {name}={wanted[name]!r}")

    def order_at(self, i: int) -> int:
        """Order of step ``i``: limited by the history, and at the end by the ``..._final`` options."""
        return min(self.solver_order, i - self.grid.begin + 1, self.final_orders.get(i, 3))

    def init(self, x: X) -> tuple[X, ...]:
        """The ``solver_order - 1`` latest outputs, newest first."""
        return (x * 0.0,) * (self.solver_order - 1)

    def output(self, p: Prediction[X], x: X, i: int, options: PredictionOptions) -> X:
        """What is integrated: x0, or eps, which follows from x0 where that is thresholded."""
        if self.on_x0:
            return p.x0
        alpha, sigma = float(self.grid.alpha[i]), float(self.grid.sigma[i])
        return (x - alpha * p.x0) / sigma if options.thresholding else p.eps

    def step(self, i: int, x: X, m: X, state: tuple[X, ...], noise: Noise[X]) -> tuple[X, tuple[X, ...]]:
        """Step ``i`` from ``x`` with the model's output ``m`` there, x0 or eps."""
        w, order = self.weights, self.order_at(i)
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

    def step_apart(self, i: int, p: Prediction[X], state: tuple[X, ...]) -> tuple[X, tuple[X, ...]]:
        """Step ``i`` as CFG++ takes it: the guided x0, renoised by and compared with the unconditional prediction."""
        x = renoised_apart(p, float(self.grid.alpha_next[i]), float(self.grid.sigma_next[i]))
        if self.order_at(i) == 2:
            x = x + 0.5 * self.weights.first[i] * (self.weights.newer[i] * (p.x0 - state[0]))
        return x, (p.unguided.x0, *state)[: self.solver_order - 1]


class MultistepDPM(Scheduler):
    """A scheduler whose steps are those of a rule over its grid."""

    rule: DPMRule

    def init(self, x: X) -> State[X]:
        """The ``solver_order - 1`` latest outputs, newest first."""
        return self.rule.init(x)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        return self.rule.step(i, x, self.rule.output(denoise(x, i), x, i, self.prediction), state, noise)
