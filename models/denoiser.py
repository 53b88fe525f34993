"""The denoiser: a network, its guidance and its prediction type, seen by a scheduler as ``denoise(x, i)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from samplegraph.models.clip import clip_x0
from samplegraph.models.guidance import INPUT, SCALE, Guidance
from samplegraph.models.guidance_scales import PointScale, point_scales
from samplegraph.models.spec import LOG_PROBS, ModelSpec
from samplegraph.models.stepped import Stepped, first_tensor, stepped
from samplegraph.schedulers import Grid, NoiseSchedule, OptionError, Prediction, Scheduler
from samplegraph.schedulers.grids.training import (
    EDMSchedule,
    nearest_signal,
    preconditioner,
    seen_scale,
    told_timesteps,
)
from samplegraph.schedulers.prediction import Parameterisation

Denoise = Callable[[torch.Tensor, int], Prediction[torch.Tensor]]


#: What a model of twice the channels gives, and what to do about one that has not.
LEARNED = "the prediction and its variance: choose a variance_type of fixed_..., or a model that learned it"


class Denoiser(nn.Module):
    """Wraps ``network(sample, timestep, **conditions)`` for one scheduler.

    Scales the input, builds the timestep row, doubles the batch for guidance, casts to the network's dtype and
    back, and turns the output into ``(x0, eps)``. Everything that depends on the step is a constant. Of a learned
    variance guidance takes the conditional branch's, as diffusers' pipelines do.

    Raises:
        OptionError: the scheduler's prediction type contradicts the model's, or an epsilon prediction is to be
            read where no signal is left.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec, scheduler: Scheduler, guidance: Guidance) -> None:
        super().__init__()
        self.spec = spec
        self.guidance = guidance
        self.options = scheduler.prediction
        self.grid = scheduler.grid
        self.prediction_type = _agreed_prediction_type(spec, scheduler)
        self.timesteps = model_timesteps(scheduler.grid, spec)
        self.network = stepped(network, spec, scheduler, self.timesteps)
        self.told = isinstance(self.network, Stepped) and self.network.by_step
        self.output_is = parameterisation(scheduler.grid, spec, self.prediction_type)
        self.input_scale, self.input_shift = self.output_is.input_scale, model_shift(scheduler.grid, spec)
        self.splits = spec.learned_variance or scheduler.learned_variance
        self.classes = scheduler.classes
        self.sample_dtype = torch.int64 if self.classes else None
        weights = (p.dtype for p in network.parameters() if p.is_floating_point())
        self.dtype = next(weights, torch.float32) if spec.dtype is None else getattr(torch, spec.dtype)
        self.profile = scheduler.profile()
        self.output_is.refuse_blind(self.options, self.grid, self.profile.points)
        self.apart = scheduler.apart
        if self.classes and guidance.rescale:
            raise OptionError(f"guidance_rescale={guidance.rescale} is for numbers; {scheduler.name} samples tokens")
        self.scales = point_scales(guidance, scheduler, self.profile)

    def scale_at(self, point: int) -> PointScale:
        """The scale of the evaluation at ``point``: ``"input"``, a float, or None for the conditional branch alone."""
        return self.scales[point]

    def bind(self, conditions: Mapping[str, torch.Tensor], guided: list[str]) -> Denoise:
        """``denoise(x, i)`` under these conditions; the guided ones are doubled once, in front of the loop."""
        own = self.guidance.own(conditions)
        wide = self.guidance.rows(conditions, guided, self.spec) if guided else own

        def denoise(x: torch.Tensor, i: int) -> Prediction[torch.Tensor]:
            factor = float(self.input_scale[i])
            seen = x if factor == 1.0 else x / (1.0 / factor)  # diffusers divides: one rounding, not two
            if self.input_shift:
                seen = seen + self.input_shift
            scale: Any = self.scale_at(i) if guided else None
            scale = conditions[SCALE] if scale == INPUT else scale
            rows = own
            if scale is not None:
                seen, rows = torch.cat([seen, seen]), wide
            if self.classes:
                return self._log_probs(self.evaluate(seen, i, rows).float(), x, scale)
            output, variance = self.evaluate(seen, i, rows).to(x.dtype), None
            if self.splits:
                output, variance = output.chunk(2, dim=1)
            alpha, sigma = float(self.grid.alpha[i]), float(self.grid.sigma[i])
            unconditional = None
            if scale is not None:
                uncond, cond = _branches(output, x)
                output = self.guidance.combine(uncond, cond, scale)
                variance = _branches(variance, x)[1] if variance is not None else None
                if self.apart:
                    unconditional = self.output_is.read(x, uncond, i)
            p = self.output_is.read(x, output, i)
            x0 = (x - sigma * p.eps) / alpha if self.options.x0_through_eps else p.x0
            return Prediction(clip_x0(x0, self.options), p.eps, variance, unconditional)

        return denoise

    def _log_probs(self, output: torch.Tensor, x: torch.Tensor, scale: Any) -> Prediction[torch.Tensor]:
        """Of tokens: guided logarithms are normalised again, as in diffusers' pipeline."""
        if scale is not None:
            output = normalised(self.guidance.combine(*_branches(output, x), scale))
        return Prediction(output, output)

    def evaluate(self, sample: torch.Tensor, i: int, conditions: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Call the network at point ``i`` with one timestep entry per row of ``sample``."""
        timestep = torch.full(
            (sample.shape[0],), self.timesteps[i], dtype=getattr(torch, self.spec.timestep_dtype), device=sample.device
        )
        output = first_tensor(self.network(sample.to(self.sample_dtype or self.dtype), timestep, **conditions))
        if self.splits and tuple(output.shape) != (wanted := self.output_shape(sample.shape)):
            raise OptionError(
                f"the model's output has shape {tuple(output.shape)}; with a learned variance it has to be {wanted}, "
                f"{LEARNED}"
            )
        return output

    def output_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the network's output for a sample of this shape."""
        if self.classes:
            return (shape[0], self.classes - 1, *shape[1:])
        rows, channels, *rest = shape
        return (rows, 2 * channels if self.splits else channels, *rest)


def normalised(log_p: torch.Tensor) -> torch.Tensor:
    """Logarithms of probabilities (B, classes, ...) of sum 1."""
    return log_p - torch.logsumexp(log_p, dim=1, keepdim=True)


def _branches(output: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The unconditional and the conditional rows; ``chunk`` would fix the number of rows in a trace."""
    return output[: x.shape[0]], output[x.shape[0] :]


def parameterisation(grid: Grid, spec: ModelSpec, prediction_type: str) -> Parameterisation:
    """What the model's output means over ``grid``: that of a model made for it, unless the model was trained on a path
    of another kind, whose scaling it is then shown."""
    own = spec.noise_schedule
    if not _rescales(grid, spec) or own is None:
        return Parameterisation.of(grid, prediction_type)
    alpha, sigma = grid.alpha[:-1], grid.sigma[:-1]
    scale = seen_scale(own, alpha, sigma)
    if isinstance(own, EDMSchedule) and prediction_type in ("epsilon", "v_prediction"):
        skip, gain = preconditioner(own.sigma_data, alpha, sigma)
        gain = gain if prediction_type == "epsilon" else -gain
        return Parameterisation(prediction_type, alpha, sigma, scale, (skip, gain))
    if isinstance(own, NoiseSchedule) and (grid.family == "flow" or alpha.min() < 1e-3):
        alpha, sigma = nearest_signal(own, alpha, sigma)
    return Parameterisation(prediction_type, alpha, sigma, scale)


def model_shift(grid: Grid, spec: ModelSpec) -> float:
    """What is added to the scaled sample before the model sees it: the grid's shift, for a model made for it."""
    return 0.0 if _rescales(grid, spec) else grid.input_shift


def _rescales(grid: Grid, spec: ModelSpec) -> bool:
    own = spec.noise_schedule
    if isinstance(own, NoiseSchedule) and isinstance(grid.schedule, NoiseSchedule):
        return False
    return own is not None and own != grid.schedule


def model_timesteps(grid: Grid, spec: ModelSpec) -> list[float | int]:
    """What the model is told at each point: the grid's timesteps, or where the model's own noise schedule is
    another one, the timestep at which it has the same noise-to-signal ratio (log-linear interpolation)."""
    t = grid.timesteps
    own = spec.noise_schedule
    if own is not None and own != grid.schedule:
        t = told_timesteps(own, grid.alpha[:-1], grid.sigma[:-1])
    if spec.timestep_dtype.startswith("int"):
        return [int(value) for value in np.rint(t)] if own is not None and own != grid.schedule else [int(v) for v in t]
    return [float(value) for value in t]


def _agreed_prediction_type(spec: ModelSpec, scheduler: Scheduler) -> str:
    asked, own = scheduler.prediction.prediction_type, spec.prediction_type
    if (own == LOG_PROBS) != bool(scheduler.classes) and (own is not None or spec.token_classes):
        raise OptionError(
            f"the model predicts {own!r}, and {scheduler.name} needs one that predicts "
            f"{LOG_PROBS if scheduler.classes else 'numbers, not tokens'}; choose another model or scheduler"
        )
    if spec.token_classes not in (None, scheduler.classes):
        raise OptionError(
            f"num_vec_classes={scheduler.classes} contradicts the model, which has {spec.token_classes} tokens with "
            f"the mask; give num_vec_classes={spec.token_classes}"
        )
    if asked is not None and own is not None and asked != own:
        raise OptionError(
            f"prediction_type={asked!r} of the scheduler contradicts the model, which predicts {own!r}; "
            f"leave it out or set prediction_type={own!r}"
        )
    return asked or own or scheduler.default_prediction_type
