"""SA-Solver."""

from __future__ import annotations

from dataclasses import replace

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, in_range, one_of, whole
from samplegraph.schedulers.grids.options import COMMON_BETAS, COMMON_RESPACINGS, SIGMA_DEFAULTS
from samplegraph.schedulers.grids.solver_grid import solver_grid
from samplegraph.schedulers.prediction import THRESHOLD_DEFAULTS, Prediction
from samplegraph.schedulers.weights.sa_weights import AdamsWeights, adams_weights


class SASolver(Scheduler):
    """Stochastic Adams solver, Xue et al. 2023 (arXiv:2309.05019), Algorithm 1 in PEC form, or in PECE form.

    1 NFE and 1 noise per step: the corrector reuses the output that the next predictor needs, and the noise of the step
    that it corrects. ``pece`` asks the model again at the corrected sample: 2N - 1 NFE. Order: the
    smaller of the two orders, after a warm-up by the lower ones.

    Args:
        predictor_order: outputs that the predictor looks back on, 1 to 4.
        corrector_order: outputs that the corrector uses, 1 to 4.
        algorithm_type: ``data_prediction`` integrates x0, ``noise_prediction`` eps.
        tau: amount of noise, 0 for the differential equation, 1 for DPM-Solver's stochastic one.
        tau_start, tau_end: range of timesteps with noise; diffusers' default function is that of 200 to 800.
        lower_order_final: descend to lower orders over the last steps.
        pece: evaluate the corrected sample, and integrate that output from then on.
    """

    diffusers_class = "SASolverScheduler"
    diffusers_values = {"beta_schedule": COMMON_BETAS, "respacing": COMMON_RESPACINGS}
    paper = "arXiv:2309.05019"
    grid_defaults = {
        **{k: v for k, v in SIGMA_DEFAULTS.items() if k not in ("rescale_betas_zero_snr", "timesteps")},
        "lambda_min_clipped": float("-inf"),
        "use_flow_sigmas": False,
        "flow_shift": 1.0,
    }
    prediction_defaults = {"prediction_type": None, **THRESHOLD_DEFAULTS}

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        predictor_order: int = 2,
        corrector_order: int = 2,
        algorithm_type: str = "data_prediction",
        tau: float = 1.0,
        tau_start: float = 200.0,
        tau_end: float = 800.0,
        lower_order_final: bool = True,
        pece: bool = False,
    ) -> None:
        super().__init__(grid, prediction)
        self.on_x0 = one_of("algorithm_type", algorithm_type, ("data_prediction", "noise_prediction"))[0] == "d"
        if not self.on_x0:
            prediction.refuse_flow_on_eps(f"algorithm_type={algorithm_type!r}")
            if prediction.thresholding:
                raise OptionError("thresholding=True is not defined with algorithm_type='noise_prediction'; drop it")
        ahead, back = whole("predictor_order", predictor_order, 1, 4), whole("corrector_order", corrector_order, 1, 4)
        self.order, self.memory, most = min(ahead, back), max(ahead, back - 1), float("inf")
        amount, low, high = (
            in_range(name, value, 0.0, most)
            for name, value in (("tau", tau), ("tau_start", tau_start), ("tau_end", tau_end))
        )
        self.tau = [amount if low <= t <= high else 0.0 for t in grid.timesteps]
        self.pece = flag("pece", pece)
        descending, n = flag("lower_order_final", lower_order_final), self.steps
        self.predictor: list[AdamsWeights] = []
        self.corrector: list[AdamsWeights | None] = [None]
        for i in range(n):
            known = min(max(self.taken(i), 0), self.memory)
            order = min(ahead, n - i if descending else ahead, known + 1)
            nodes = [i - j for j in range(order)]
            self.predictor.append(self._weights(i, nodes, corrector=False))
            order = min(back, n - i + 1 if descending else back, known + 2)
            nodes = [i + 1 - j for j in range(order)]
            if i + 1 < n:
                self.corrector.append(self._weights(i, nodes, corrector=True))

    def _weights(self, i: int, nodes: list[int], *, corrector: bool) -> AdamsWeights:
        return adams_weights(self.grid, i, nodes, self.tau[i], on_x0=self.on_x0, corrector=corrector)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        return solver_grid(steps, replace(options, final_sigmas_type="sigma_min"), round_cosine=True, repeat_last=True)

    def init(self, x: X) -> State[X]:
        """The sample before the latest step and that step's noise, then the latest outputs, newest first."""
        return (x * 0.0,) * (2 + self.memory)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        m, (before, drawn, *outputs) = self._output(denoise(x, i)), state
        corrector = self.corrector[i]
        if self.taken(i) > 0 and corrector is not None:
            x = _advance(corrector, before, (m, *outputs), drawn)
            m = self._output(denoise(x, i)) if self.pece else m
        outputs = [m, *outputs[: self.memory - 1]]
        z = noise()
        return _advance(self.predictor[i], x, outputs, z), (x, z, *outputs)

    def _output(self, p: Prediction[X]) -> X:
        return p.x0 if self.on_x0 else p.eps


def _advance(w: AdamsWeights, x: X, outputs: tuple[X, ...] | list[X], z: X) -> X:
    gradient = w.outputs[0] * outputs[0]
    for weight, m in zip(w.outputs[1:], outputs[1:], strict=False):
        gradient = gradient + weight * m
    return w.keep * x + gradient + w.std * z
