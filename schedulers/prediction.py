"""How a network's output becomes a pair (x0, eps)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic

from samplegraph.schedulers.errors import OptionError, flag, in_range, one_of
from samplegraph.schedulers.grids.grid import Array, Grid
from samplegraph.schedulers.vector import X

PREDICTION_TYPES = ("epsilon", "sample", "v_prediction", "score", "flow_prediction")

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Prediction(Generic[X]):
    """What ``denoise`` returns: the predicted clean sample ``x0`` and noise ``eps``, both shaped like ``x``.

    ``x0`` is clipped or thresholded where the scheduler asks for it; ``eps`` is the network's own. ``variance`` is
    what a network with twice the channels says of it (arXiv:2102.09672), else None. ``uncond`` is the prediction of
    guidance's unconditional branch, not clipped, for a scheduler that is ``apart``.
    """

    x0: X
    eps: X
    variance: X | None = None
    uncond: Prediction[X] | None = None

    @property
    def unguided(self) -> Prediction[X]:
        """That of the unconditional branch; the prediction itself where there is one branch only."""
        return self if self.uncond is None else self.uncond


@dataclass(frozen=True)
class PredictionOptions:
    """Options of a scheduler that say how the network's output is read.

    ``prediction_type=None`` takes the model's own. ``clip_sample`` clamps x0 to ``+-clip_sample_range``;
    ``thresholding`` is Imagen's dynamic thresholding (arXiv:2205.11487, section 2.3) and replaces clipping.
    ``x0_through_eps``, set by a scheduler, recovers x0 from eps whatever the network predicts: it only rounds
    differently, as diffusers does where it thresholds for a solver on eps.

    Raises:
        OptionError: an unknown prediction type or a value out of range.
    """

    prediction_type: str | None = None
    clip_sample: bool = False
    clip_sample_range: float = 1.0
    thresholding: bool = False
    dynamic_thresholding_ratio: float = 0.995
    sample_max_value: float = 1.0
    x0_through_eps: bool = False

    def __post_init__(self) -> None:
        if self.prediction_type is not None:
            one_of("prediction_type", self.prediction_type, PREDICTION_TYPES)
        flag("clip_sample", self.clip_sample)
        flag("thresholding", self.thresholding)
        in_range("clip_sample_range", self.clip_sample_range, 0.0, float("inf"))
        in_range("dynamic_thresholding_ratio", self.dynamic_thresholding_ratio, 0.0, 1.0)
        if in_range("sample_max_value", self.sample_max_value, 0.0, float("inf")) < 1.0:
            raise OptionError(f"sample_max_value={self.sample_max_value!r} is not allowed; give at least 1")

    def refuse_flow_on_eps(self, asked: str) -> None:
        """Refuse a solver on eps for a network that predicts the flow, which diffusers does not define.

        Raises:
            OptionError: the network does; ``asked`` is the option that chose the solver.
        """
        if self.prediction_type == "flow_prediction":
            raise OptionError(f"prediction_type='flow_prediction' is not defined with {asked}; choose a solver on x0")


#: Options of clipping, with their defaults where a scheduler clips.
CLIP_DEFAULTS: Mapping[str, object] = {"clip_sample": True, "clip_sample_range": 1.0}
#: Options of dynamic thresholding, with their defaults.
THRESHOLD_DEFAULTS: Mapping[str, object] = {
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "sample_max_value": 1.0,
}


def convert(
    prediction_type: str, x: X, output: X, alpha: float, sigma: float, input_scale: float
) -> Prediction[X]:
    """Read a network's ``output`` at ``x = alpha * x0 + sigma * eps``; the network saw ``x * input_scale``.

    ``v_prediction`` is ``v = a * eps - s * x0`` with ``a, s = alpha, sigma`` times ``input_scale``
    (arXiv:2202.00512, appendix D). ``score`` is the gradient of the log density of what the network saw,
    ``-eps / s`` (arXiv:2011.13456, eq. 7). ``flow_prediction`` is the velocity ``eps - x0`` of the straight path
    (arXiv:2210.02747). ``x`` and ``output`` may be tensors, floats or ``Affine``.

    Raises:
        OptionError: ``prediction_type`` is unknown.
    """
    match one_of("prediction_type", prediction_type, PREDICTION_TYPES):
        case "epsilon":
            clean = x - sigma * output
            return Prediction(clean if alpha == 1 else clean / alpha, output)
        case "sample":
            return Prediction(output, (x - alpha * output) / sigma)
        case "score":
            s = sigma * input_scale
            clean = x + (sigma * s) * output
            return Prediction(clean if alpha == 1 else clean / alpha, -s * output)
        case "flow_prediction":
            seen = x if input_scale == 1 else input_scale * x
            a, s = alpha * input_scale, sigma * input_scale
            if abs(a + s - 1) < _ROUNDING:
                return Prediction(seen - s * output, seen + a * output)
            return Prediction((seen - s * output) / (a + s), (seen + a * output) / (a + s))
        case _:
            a, s = alpha * input_scale, sigma * input_scale
            if input_scale == 1 and abs(a**2 + s**2 - 1) > _ROUNDING:
                return Prediction((a * x - s * output) / (a**2 + s**2), (s * x + a * output) / (a**2 + s**2))
            kept = a * x if input_scale == 1 or alpha == 0 else x / ((sigma**2 + alpha**2) / alpha)
            x0 = kept - s * output
            return Prediction(x0, (s * input_scale) * x + a * output)


@dataclass(frozen=True, eq=False)
class Parameterisation:
    """What a network's output means at every grid point, (M,) each: the sample there is ``alpha * x0 + sigma * eps``,
    the network saw ``input_scale`` times it, and its output is read as ``prediction_type``.

    With ``rows`` (skip, gain) it is preconditioned: ``x0 = skip * x + gain * output`` (arXiv:2206.00364, eq. 7), and
    eps follows from x0, or with two rows more in the same way.
    """

    prediction_type: str
    alpha: Array
    sigma: Array
    input_scale: Array
    rows: tuple[Array, ...] = ()

    @classmethod
    def of(cls, grid: Grid, prediction_type: str) -> Parameterisation:
        """That of a network made for this grid."""
        rows = grid.preconditioned.get(prediction_type, ())
        return cls(prediction_type, grid.alpha, grid.sigma, grid.input_scale, rows)

    def read(self, x: X, output: X, point: int) -> Prediction[X]:
        """``output`` at ``x``; both may be tensors, floats or ``Affine``."""
        alpha, sigma = float(self.alpha[point]), float(self.sigma[point])
        if not self.rows:
            return convert(self.prediction_type, x, output, alpha, sigma, float(self.input_scale[point]))
        skip, gain, *of_eps = (float(row[point]) for row in self.rows)
        x0 = skip * x + gain * output
        return Prediction(x0, of_eps[0] * x + of_eps[1] * output if of_eps else (x - alpha * x0) / sigma)

    def refuse_blind(self, options: PredictionOptions, grid: Grid, points: Iterable[int]) -> None:
        """Refuse to read eps where no signal is left (alpha = 0) unless clipping makes the infinite x0 finite.

        Raises:
            OptionError: at one of the grid's ``points`` alpha is 0.
        """
        if self.prediction_type != "epsilon" or self.rows:
            return
        if options.clip_sample and not options.thresholding:
            return
        for point in points:
            if self.alpha[point] == 0:
                raise OptionError(
                    f"prediction_type='epsilon' gives infinity at timestep {grid.timesteps[point]:g}, where no signal "
                    "is left (rescale_betas_zero_snr); use a v_prediction model, clip_sample without thresholding, or "
                    "another timestep_spacing"
                )
