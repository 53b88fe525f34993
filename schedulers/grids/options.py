"""The options that shape a grid, under the names diffusers gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from samplegraph.schedulers.errors import OptionError, flag, in_range, one_of, whole
from samplegraph.schedulers.grids.community_grids import GRIDS
from samplegraph.schedulers.grids.flow_shift import FlowShift
from samplegraph.schedulers.grids.flow_stage import FlowStage
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule
from samplegraph.schedulers.grids.policy import FlowPolicy
from samplegraph.schedulers.grids.spacing import SPACINGS

#: Respacings of diffusers, and with those that it lacks.
RESPACED = ("karras", "exponential", "beta", "lu")
RESPACINGS = (*RESPACED, *GRIDS)
#: Those that have an exponent to choose.
_RHO = ("karras", "polyexponential")
#: Noise schedules that every diffusers class with betas knows.
COMMON_BETAS = ("linear", "scaled_linear", "squaredcos_cap_v2")
#: Respacings that diffusers' classes know; one of them knows lu too.
COMMON_RESPACINGS = ("karras", "exponential", "beta")
#: Values that diffusers' older classes over sigmas take: three respacings, no zero SNR, no range of their own.
SIGMA_VALUES: Mapping[str, tuple[object, ...]] = {
    "beta_schedule": COMMON_BETAS,
    "respacing": COMMON_RESPACINGS,
    "rescale_betas_zero_snr": (False,),
    "sigma_min": (),
    "sigma_max": (),
}
FINAL_SIGMAS = ("zero", "sigma_min")

#: Options that have to be above 0, and at most this.
_ABOVE_ZERO = {
    "strength": 1.0,
    "sigma_data": 1e6,
    "rho": 1e3,
    "flow_shift": 1e6,
    "max_timesteps": 1.5709,
    "respacing_rho": 1e3,
    "scaler": 1e3,
    "s": 1e3,
    "snr_shift_scale": 1e6,
}

_SCHEDULE_FIELDS = tuple(f.name for f in fields(NoiseSchedule))
_SHIFT_FIELDS = tuple(f.name for f in fields(FlowShift))
_STAGE_FIELDS = tuple(f.name for f in fields(FlowStage))
_POLICY_FIELDS = tuple(f.name for f in fields(FlowPolicy))
#: Options of every scheduler over a discrete noise schedule, with their defaults.
SCHEDULE_DEFAULTS: Mapping[str, object] = {
    **{f.name: f.default for f in fields(NoiseSchedule)},
    "exact_tables": False,
}
#: Those, and the spacing of the schedulers over whole timesteps.
TIMESTEP_DEFAULTS: Mapping[str, object] = {**SCHEDULE_DEFAULTS, "timestep_spacing": "leading", "steps_offset": 0}
#: Those of a schedule, and the spacing and respacing options of the sigma-based schedulers.
SIGMA_DEFAULTS: Mapping[str, object] = {
    **SCHEDULE_DEFAULTS,
    "timestep_spacing": "linspace",
    "steps_offset": 0,
    "timesteps": None,
    "sigmas": None,
    "respacing": None,
    "respacing_rho": None,
    "sigma_min": None,
    "sigma_max": None,
}
#: The same with the betas of latent diffusion models.
LATENT_SIGMA_DEFAULTS: Mapping[str, object] = {**SIGMA_DEFAULTS, "beta_start": 0.00085, "beta_end": 0.012}


@dataclass(frozen=True)
class GridOptions:
    """Everything that can be asked of a grid; a scheduler names in ``grid_defaults`` the options it takes.

    ``exact_tables`` computes in float64 throughout instead of following diffusers' float32 operations.
    ``begin`` is the first step that a run takes; few grids depend on it.

    Raises:
        OptionError: a value is unknown, out of range, or excludes another.
    """

    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    flow: FlowShift = field(default_factory=FlowShift)
    stage: FlowStage = field(default_factory=FlowStage)
    policy: FlowPolicy = field(default_factory=FlowPolicy)
    timestep_spacing: str = "leading"
    steps_offset: int = 0
    timesteps: Sequence[float] | None = None
    sigmas: Sequence[float] | None = None
    respacing: str | None = None
    respacing_rho: float | None = None
    sigma_min: float | None = None
    sigma_max: float | None = None
    final_sigmas_type: str = "zero"
    interpolation_type: str = "linear"
    timestep_type: str = "discrete"
    lambda_min_clipped: float = float("-inf")
    sampling_eps: float = 1e-3
    beta_min: float = 0.1
    beta_max: float = 20.0
    set_alpha_to_one: bool = True
    skip_prk_steps: bool = False
    use_flow_sigmas: bool = False
    flow_shift: float = 1.0
    flow_sigmas: Sequence[float] | None = None
    original_inference_steps: int | None = None
    full_range_steps: int | None = None
    strength: float = 1.0
    sigma_data: float = 0.5
    sigma_schedule: str = "karras"
    rho: float = 7.0
    ramp: Sequence[float] | None = None
    max_timesteps: float | None = 1.5708
    intermediate_timesteps: float | None = 1.3
    angles: Sequence[float] | None = None
    scaler: float = 1.0
    s: float = 0.008
    times: Sequence[float] | None = None
    snr_shift_scale: float = 3.0
    prediction_type: str | None = None
    exact_tables: bool = False
    begin: int = 0

    def __post_init__(self) -> None:
        one_of("timestep_spacing", self.timestep_spacing, SPACINGS)
        one_of("final_sigmas_type", self.final_sigmas_type, FINAL_SIGMAS)
        one_of("interpolation_type", self.interpolation_type, ("linear", "log_linear"))
        one_of("timestep_type", self.timestep_type, ("discrete", "continuous"))
        whole("steps_offset", self.steps_offset, 0)
        flag("set_alpha_to_one", self.set_alpha_to_one)
        flag("skip_prk_steps", self.skip_prk_steps)
        flag("exact_tables", self.exact_tables)
        flag("use_flow_sigmas", self.use_flow_sigmas)
        in_range("lambda_min_clipped", self.lambda_min_clipped, float("-inf"), float("inf"))
        one_of("sigma_schedule", self.sigma_schedule, ("karras", "exponential"))
        for name in ("original_inference_steps", "full_range_steps"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), 1, self.schedule.num_train_timesteps)
        for name, most in _ABOVE_ZERO.items():
            if getattr(self, name) is not None and in_range(name, getattr(self, name), 0.0, most) == 0:
                raise OptionError(f"{name}={getattr(self, name)!r} is not allowed; give a number above 0")
        if self.intermediate_timesteps is not None:
            in_range("intermediate_timesteps", self.intermediate_timesteps, 0.0, self.max_timesteps or 1.5709)
        in_range("sampling_eps", self.sampling_eps, 0.0, 1.0)
        for name in ("beta_min", "beta_max"):
            in_range(name, getattr(self, name), 0.0, float("inf"))
        if self.respacing is not None:
            one_of("respacing", self.respacing, RESPACINGS)
        if self.respacing_rho is not None and self.respacing not in _RHO:
            raise OptionError(
                f"respacing_rho is not read by respacing={self.respacing!r}; set respacing to {' or '.join(_RHO)}"
            )
        self._check_sigma_range()

    def _check_sigma_range(self) -> None:
        for name in ("sigma_min", "sigma_max"):
            value = getattr(self, name)
            if value is not None and not 0 < in_range(name, value, 0.0, float("inf")) < float("inf"):
                raise OptionError(f"{name}={value!r} is not allowed; give a number above 0")
            if value is not None and self.respacing == "lu":
                raise OptionError(f"{name} is not read by respacing='lu'; leave it out or choose another respacing")
        if self.sigma_min is not None and self.sigma_max is not None and self.sigma_min >= self.sigma_max:
            raise OptionError(f"sigma_min={self.sigma_min!r} is not below sigma_max={self.sigma_max!r}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> GridOptions:
        """Build from flat options, those of the schedule, the shift, the stage and the policy among them."""
        schedule = NoiseSchedule(**{k: v for k, v in values.items() if k in _SCHEDULE_FIELDS})
        flow = FlowShift(**{k: v for k, v in values.items() if k in _SHIFT_FIELDS})
        stage = FlowStage(**{k: v for k, v in values.items() if k in _STAGE_FIELDS})
        policy = FlowPolicy(**{k: v for k, v in values.items() if k in _POLICY_FIELDS})
        nested = (*_SCHEDULE_FIELDS, *_SHIFT_FIELDS, *_STAGE_FIELDS, *_POLICY_FIELDS)
        others = {k: v for k, v in values.items() if k not in nested}
        return cls(schedule=schedule, flow=flow, stage=stage, policy=policy, **others)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The precision in which tables are computed before they are widened to float64."""
        return torch.float64 if self.exact_tables else torch.float32

    @property
    def numpy_dtype(self) -> type[np.floating[Any]]:
        """The same precision for numpy."""
        return np.float64 if self.exact_tables else np.float32
