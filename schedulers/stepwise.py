"""Bumblebee's contract over these schedulers: ``init`` and ``step`` driven from outside, prediction in hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from samplegraph.schedulers.base import Scheduler
from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.prediction import Parameterisation, Prediction


@dataclass(frozen=True)
class StepState:
    """What ``init`` returns and each ``step`` replaces: the number of steps taken, the solver's state, and the noise
    (K, B, ...) of which ``drawn`` slices are used up."""

    taken: int
    solver: tuple[torch.Tensor, ...]
    noise: torch.Tensor
    drawn: int = 0


class Stepwise:
    """A scheduler as Bumblebee's ``Scheduler`` behaviour: one prediction per step, made by the caller.

    Args:
        scheduler: one of 1 NFE per step, without thresholding and inputs of its own.
        prediction_type: what the caller's predictions are.

    Raises:
        OptionError: the scheduler needs more than one prediction per step, or more than predictions.
    """

    def __init__(self, scheduler: Scheduler, prediction_type: str | None = None) -> None:
        profile = scheduler.profile()
        name = scheduler.name
        if scheduler.inverts or scheduler.grid.begin:
            raise OptionError(f"{name} starts from a clean sample; stepwise use starts from noise: use a Sampler")
        if any(len(points) != 1 for points in profile.evaluations):
            raise OptionError(
                f"{name} takes {profile.nfe} predictions in {scheduler.steps} steps; stepwise use needs one each"
            )
        if any(points[0] >= scheduler.steps for points in profile.evaluations):
            raise OptionError(f"{name} adds noise before it asks the model; stepwise use needs the sample itself asked")
        if scheduler.apart:
            raise OptionError(f"{name} with cfg_pp needs two predictions in each step; use a Sampler, or cfg_pp=False")
        if scheduler.grid.own.get("output_weights") is not None:
            raise OptionError(f"{name} takes several predictions of one evaluation; use a Sampler")
        if scheduler.inputs or scheduler.classes or scheduler.prediction.thresholding:
            raise OptionError(f"{name} takes more than predictions (inputs, tokens or thresholding); use a Sampler")
        self.scheduler, self.profile = scheduler, profile
        default = scheduler.default_prediction_type
        self.prediction_type = prediction_type or scheduler.prediction.prediction_type or default
        self.network = Parameterisation.of(scheduler.grid, self.prediction_type)
        self.points = [points[0] for points in profile.evaluations]

    def init(self, sample_shape: Sequence[int], seeds: Sequence[int]) -> tuple[StepState, torch.Tensor, torch.Tensor]:
        """``(state, timesteps, sample)``: the timesteps (N,) to ask the model at, and the initial sample.

        Each sample has its own generator, which draws (1, ...) for the initial noise and then once per slice: the
        numbers that the runtime draws from a list of seeds.

        Args:
            sample_shape: shape of one sample, without the batch axis.
            seeds: B of them, one per sample.
        """
        rows = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            shape, count = (1, *sample_shape), 1 + self.profile.noise_slices
            rows.append(torch.stack([torch.randn(shape, generator=generator) for _ in range(count)]))
        noise = torch.cat(rows, dim=1)
        sample = noise[0] * self.scheduler.init_noise_sigma
        timesteps = torch.tensor([float(self.scheduler.grid.timesteps[p]) for p in self.points])
        return StepState(0, self.scheduler.init(sample), noise[1:]), timesteps, sample

    def scaled(self, state: StepState, sample: torch.Tensor) -> torch.Tensor:
        """What the model is shown in this step."""
        grid, factor = self.scheduler.grid, float(self.scheduler.grid.input_scale[self.points[state.taken]])
        seen = sample if factor == 1 else sample / (1 / factor)
        return seen + grid.input_shift if grid.input_shift else seen

    def step(self, state: StepState, sample: torch.Tensor, prediction: torch.Tensor) -> tuple[StepState, torch.Tensor]:
        """``(state, prev_sample)`` from the model's prediction at ``timesteps[state.taken]``.

        Raises:
            OptionError: all steps are taken.
        """
        if state.taken >= self.scheduler.steps:
            raise OptionError(f"all {self.scheduler.steps} steps are taken; call init again")
        options, grid, drawn = self.scheduler.prediction, self.scheduler.grid, state.drawn

        def denoise(x: torch.Tensor, i: int) -> Prediction[torch.Tensor]:
            alpha, sigma = float(grid.alpha[i]), float(grid.sigma[i])
            p = self.network.read(x, prediction, i)
            x0 = (x - sigma * p.eps) / alpha if options.x0_through_eps else p.x0
            limit = options.clip_sample_range
            return Prediction(x0.clamp(-limit, limit) if options.clip_sample else x0, p.eps)

        def noise() -> torch.Tensor:
            nonlocal drawn
            drawn += 1
            return state.noise[drawn - 1]

        sample, solver = self.scheduler.step(state.taken, sample, state.solver, denoise, noise)
        return replace(state, taken=state.taken + 1, solver=solver, drawn=drawn), sample
