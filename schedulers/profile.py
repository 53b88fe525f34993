"""What a run of a sampler asks for: its evaluations and its draws."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.prediction import Prediction

if TYPE_CHECKING:
    from samplegraph.schedulers.base import Scheduler

#: More evaluations than any sampler takes: what asks for more was mistyped.
MAX_NFE = 10_000


@dataclass(frozen=True)
class Profile:
    """What one run of a sampler asks for, step by step: the points at which it calls ``denoise``, and its draws.

    Steps before the one at which the run begins ask for nothing.
    """

    evaluations: tuple[tuple[int, ...], ...]
    draws: tuple[int, ...]

    @property
    def noise_slices(self) -> int:
        """Number K of noise slices."""
        return sum(self.draws)

    @property
    def points(self) -> list[int]:
        """The grid points where the denoiser is evaluated, each once."""
        return sorted({point for points in self.evaluations for point in points})

    @property
    def nfe(self) -> int:
        """Number of denoiser evaluations."""
        return sum(len(points) for points in self.evaluations)


def profiled(scheduler: Scheduler) -> Profile:
    """Run the scheduler on a single number and count.

    Raises:
        OptionError: the run gives NaN or infinity, or takes more than ``MAX_NFE`` evaluations.
    """
    points: list[int] = []
    per_step: list[tuple[int, ...]] = [()] * scheduler.grid.begin
    draws = [0] * scheduler.steps
    calls = count()

    def denoise(x: torch.Tensor, i: int) -> Prediction[torch.Tensor]:
        points.append(i)
        if next(calls) >= MAX_NFE:
            raise OptionError(
                f"{scheduler.name} with steps={scheduler.steps} takes more than {MAX_NFE:,} evaluations of the model; "
                "give fewer steps, or fewer evaluations in each"
            )
        return Prediction(0.5 * torch.ones_like(x), 0.5 * torch.ones_like(x), 0.5 * torch.ones_like(x))

    def noise() -> torch.Tensor:
        draws[i] += 1
        return x

    x = torch.ones((1, 1, 1, 1), dtype=torch.float64)
    value, state = x, scheduler.begin(x, {own.name: x for own in scheduler.inputs})
    for i in scheduler.indices:
        try:
            value, state = scheduler.step(i, value, state, denoise, noise)
        except OptionError:
            raise
        except (ArithmeticError, ValueError) as error:
            raise OptionError(_not_finite(scheduler, i)) from error
        if not bool(torch.isfinite(value).all()):
            raise OptionError(_not_finite(scheduler, i))
        per_step.append(tuple(points))
        points.clear()
    return Profile(tuple(per_step), tuple(draws))


def _not_finite(scheduler: Scheduler, i: int) -> str:
    grid, config = scheduler.grid, scheduler.config
    defaults = {**scheduler.grid_defaults, **scheduler.prediction_defaults}
    asked = [f"{k}={v!r}" for k, v in config.items() if v != defaults.get(k) and not isinstance(v, tuple)]
    still = [j for j in range(max(0, i - 2), i + 1) if grid.sigma[j] == grid.sigma_next[j]]
    cause = f" (sigma does not change in step {still[0]})" if still else ""
    exact = ", or exact_tables=True where only float32 tables are at fault" if "exact_tables" in config else ""
    return (
        f"{scheduler.name}: step {i} of {scheduler.steps} gives NaN or infinity{cause} with "
        f"{', '.join(asked) or 'the default options'}; use other options or steps{exact}"
    )
