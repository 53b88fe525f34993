"""UniPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, one_of, whole
from samplegraph.schedulers.grids.options import COMMON_BETAS, COMMON_RESPACINGS, SIGMA_DEFAULTS
from samplegraph.schedulers.grids.solver_grid import FLOW_SIGMA_DEFAULTS, unipc_grid
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS
from samplegraph.schedulers.steps.nested import nested_scheduler, nested_step
from samplegraph.schedulers.weights.uni_weights import UniWeights, uni_weights


class UniPC(Scheduler):
    """Unified predictor-corrector, Zhao et al. 2023 (arXiv:2302.04867), Algorithms 5 (x0) and 7 (eps).

    The corrector reuses the output that the next predictor needs, so there is 1 NFE per step; no noise. Order
    ``solver_order + 1`` (``solver_order`` without the corrector), after a warm-up by the lower orders.
    ``solver_order=1`` without the corrector is DDIM, 2 on x0 with bh2 then DPM-Solver++(2M).

    Args:
        solver_order: order p of the predictor, at least 1.
        predict_x0: integrate x0, else eps, which cannot end at sigma = 0.
        solver_type: ``bh1`` or ``bh2``, B(h) = h or e^h - 1; ``bh1`` cannot end at sigma = 0.
        lower_order_final: descend to order 1 over the last steps.
        disable_corrector: steps whose result is not corrected, counted from 0.
        solver_p: a scheduler that replaces the predictor: a name or a diffusers config. It has to be affine, take 1
            NFE per step and no noise, and visit the same timesteps; it reads the output as the sample were the
            corrected one, so ``prediction_type`` has to be given.
    """

    diffusers_class = "UniPCMultistepScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS, "respacing": COMMON_RESPACINGS}
    diffusers_aliases = {"solver_type": {"midpoint": "bh2", "heun": "bh2", "logrho": "bh2"}}
    paper = "arXiv:2302.04867"
    diffusers_arguments = {"sigmas": "flow_sigmas"}
    grid_defaults = {
        **SIGMA_DEFAULTS,
        "final_sigmas_type": "zero",
        **FLOW_SIGMA_DEFAULTS,
        "shift_terminal": None,
        "flow_sigmas": None,
    }
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}
    build_grid = staticmethod(unipc_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        solver_order: int = 2,
        predict_x0: bool = True,
        solver_type: str = "bh2",
        lower_order_final: bool = True,
        disable_corrector: Sequence[int] = (),
        solver_p: str | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(grid, prediction)
        self.solver_order = whole("solver_order", solver_order, 1)
        self.predict_x0 = flag("predict_x0", predict_x0)
        if not predict_x0:
            prediction.refuse_flow_on_eps("predict_x0=False")
        one_of("solver_type", solver_type, ("bh1", "bh2"))
        if not isinstance(disable_corrector, Sequence) or isinstance(disable_corrector, str):
            raise OptionError(
                f"disable_corrector={disable_corrector!r} is not allowed; give a list of steps, such as [0, 1]"
            )
        self.uncorrected = frozenset(whole("disable_corrector", i, 0) for i in disable_corrector)
        self.order = solver_order + (not self.uncorrected.issuperset(range(self.steps - 1)))
        descending = flag("lower_order_final", lower_order_final)
        left = [self.steps - i if descending else solver_order for i in range(self.steps)]
        orders = [min(solver_order, max(self.taken(i), 0) + 1, n) for i, n in enumerate(left)]
        self.solver_p = nested_scheduler("solver_p", solver_p, self) if solver_p is not None else None
        if self.solver_p is None:
            self._check_end(orders[-1], solver_type)
        self.weights = uni_weights(grid, orders, on_x0=predict_x0, solver_type=solver_type)

    def _check_end(self, order: int, solver_type: str) -> None:
        sigma, end = self.grid.sigma[-2:]
        wrong = {
            "solver_type='bh1'": solver_type == "bh1" and end == 0,
            "predict_x0=False": not self.predict_x0 and end == 0,
            "lower_order_final=False": (order > 1 and end == 0) or (order > 2 and end == sigma),
        }
        if any(wrong.values()):
            asked = next(name for name, is_wrong in wrong.items() if is_wrong)
            fix = "final_sigmas_type='sigma_min'" if end == 0 else "final_sigmas_type='zero' or lower_order_final=True"
            raise OptionError(f"{asked} gives NaN in a last step from sigma {sigma:g} to {end:g}; set {fix}")

    def init(self, x: X) -> State[X]:
        """The sample before the latest step, ``solver_order`` outputs, newest first, and the state of solver_p."""
        return (x * 0.0,) * (self.solver_order + 1) + (self.solver_p.init(x) if self.solver_p else ())

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        p, (before, *outputs) = denoise(x, i), state[: self.solver_order + 1]
        seen, m = x, p.x0 if self.predict_x0 else p.eps
        if self.taken(i) > 0 and i - 1 not in self.uncorrected:
            w = self.weights[i - 1]
            terms = _terms(w, w.corrector, outputs)
            x = _advance(w, before, outputs[0], [*terms, w.corrector[-1] * (m - outputs[0])])
        outputs = [m, *outputs[: self.solver_order - 1]]
        if self.solver_p:
            own = state[self.solver_order + 1 :]
            ahead, own = nested_step(self.solver_p, self, i, (seen, p), x, own, noise)
            return ahead, (x, *outputs, *own)
        w = self.weights[i]
        return _advance(w, x, m, _terms(w, w.predictor, outputs)), (x, *outputs)


def _terms(w: UniWeights, rhos: Sequence[float], outputs: Sequence[X]) -> list[X]:
    pairs = zip(rhos, w.ratios, outputs[1:], strict=False)
    return [rho * ((m - outputs[0]) / ratio) for rho, ratio, m in pairs]


def _advance(w: UniWeights, x: X, m: X, terms: Sequence[X]) -> X:
    x = w.keep * x - w.first * m
    if not terms:
        return x
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return x - w.scale * total
