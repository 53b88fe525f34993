"""VQ-Diffusion: diffusion over tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import in_range, whole
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule
from samplegraph.schedulers.grids.token_tables import LOG_ZERO, TokenTables
from samplegraph.schedulers.profile import Profile
from samplegraph.schedulers.steps.tensors import on_tensors

_FLOOR = -70.0


class VQDiffusion(Scheduler):
    """Reverse diffusion over tokens, Gu et al. 2022 (arXiv:2111.14822), Algorithm 2: from all tokens masked, each step
    draws from q(x_{t-1} | x_t, x0) (eq. 10) under the model's log p(x0 | x_t), by Gumbel's trick.

    1 NFE per step; N draws of *uniform* noise (B, classes, ...): the first is the input ``noise``, N - 1 are
    ``step_noise``. The last, at t = 0, leaves out the mask's row, so a single generator draws diffusers' numbers
    for a batch of 1. Order 1. Not affine: tokens are no vectors. The steps visit t = N-1 .. 0, as in diffusers.

    Args:
        num_vec_classes: number of tokens, the mask (the last one) included.
        alpha_cum_start, alpha_cum_end, gamma_cum_start, gamma_cum_end: the linear schedules of staying and of masking.
        truncation_rate: keep the most probable x0 up to this mass; diffusers' 1.0 drops what lies beyond it by
            rounding, None leaves the sorting out of the graph.
    """

    default_prediction_type = "log_probs"
    noise_kind = "uniform"
    sample_dtype = "int64"
    no_start = "samples are tokens, to which no noise can be added; leave it out"
    diffusers_class = "VQDiffusionScheduler"
    paper = "arXiv:2111.14822"
    grid_defaults = {"num_train_timesteps": 100}
    prediction_defaults = {}

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        num_vec_classes: int = 9,
        alpha_cum_start: float = 0.99999,
        alpha_cum_end: float = 0.000009,
        gamma_cum_start: float = 0.000009,
        gamma_cum_end: float = 0.99999,
        truncation_rate: float | None = 1.0,
    ) -> None:
        classes = whole("num_vec_classes", num_vec_classes, 2)
        assert isinstance(grid.schedule, NoiseSchedule)
        last = whole("num_train_timesteps", grid.schedule.num_train_timesteps, 2)
        for key, value in (("alpha_cum_start", alpha_cum_start), ("alpha_cum_end", alpha_cum_end)):
            in_range(key, value, 0.0, 1.0)
        for key, value in (("gamma_cum_start", gamma_cum_start), ("gamma_cum_end", gamma_cum_end)):
            in_range(key, value, 0.0, 1.0)
        ends = (alpha_cum_start, alpha_cum_end), (gamma_cum_start, gamma_cum_end)
        tables = TokenTables.of(classes, last, *ends)
        visited = grid.timesteps.astype(int)
        alpha, gamma = (t.double().exp().numpy()[visited] for t in (tables.log_cum_alpha, tables.log_cum_gamma))
        super().__init__(replace(grid, alpha=np.append(alpha, 1.0), sigma=np.append(gamma, 0.0)), prediction)
        self.classes = classes
        self.since_start, self.in_one = tables.reached(cumulative=True), tables.reached(cumulative=False)
        before = tables.log_cum_alpha, tables.log_cum_beta, tables.log_cum_gamma
        self.before = list(zip(*(p.tolist() for p in before), strict=True))
        self.truncation_rate = (
            None if truncation_rate is None else in_range("truncation_rate", truncation_rate, 0.0, 1.0)
        )

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        t = np.arange(steps)[::-1].astype(np.float64)
        one = np.ones(steps + 1)
        return Grid(steps=steps, family="tokens", schedule=options.schedule, timesteps=t, alpha=one, sigma=one)

    def noise_shape(self, sample_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.classes, *sample_shape)

    def profile(self) -> Profile:
        return Profile(tuple((i,) for i in range(self.steps)), (0, *[1] * (self.steps - 1)))

    def start(self, noise: X, draw: Noise[X]) -> tuple[X, Noise[X]]:
        """All tokens masked; ``noise`` is the first draw."""

        def draws() -> Iterator[X]:
            yield noise
            while True:
                yield draw()

        queue = draws()
        return on_tensors(self._masked, noise), lambda: next(queue)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        log_x0, t = denoise(x, i).x0, int(self.grid.timesteps[i])
        if t == 0:
            return on_tensors(self._last, log_x0, noise()), state
        numbers = *self.since_start[t], *self.before[t - 1], *self.in_one[t]
        return on_tensors(self._next, log_x0, x, noise(), *numbers), state

    def _masked(self, noise: torch.Tensor) -> torch.Tensor:
        return torch.full((noise.shape[0], *noise.shape[2:]), self.classes - 1, dtype=torch.int64)

    def _last(self, log_x0: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        return _drawn(self._truncated(log_x0), uniform)

    def _next(
        self, log_x0: torch.Tensor, tokens: torch.Tensor, uniform: torch.Tensor, *numbers: torch.Tensor
    ) -> torch.Tensor:
        return _drawn(self._posterior(self._truncated(log_x0), tokens, *numbers), uniform)

    def _posterior(self, log_x0: torch.Tensor, tokens: torch.Tensor, *numbers: torch.Tensor) -> torch.Tensor:
        """log q(x_{t-1} | x_t = tokens) (B, classes, ...), summed over x0."""
        index = torch.arange(self.classes).reshape(-1, *[1] * (tokens.ndim - 1))
        same = tokens.unsqueeze(1) == index
        masked = same[:, -1:]

        def reached(hit: torch.Tensor, miss: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return torch.where(masked, mask, torch.where(same[:, :-1], hit, miss))

        q = log_x0 - reached(*numbers[:3])
        total = torch.logsumexp(q, dim=1, keepdim=True)
        stay, other, mask = numbers[3:6]
        q = torch.logaddexp(q - total + stay, other)
        before = torch.cat([q, mask.expand_as(q[:, :1])], dim=1)
        one = torch.cat([reached(*numbers[6:]), torch.where(masked, 0.0, LOG_ZERO)], dim=1)
        return before + one + total

    def _truncated(self, log_p: torch.Tensor) -> torch.Tensor:
        if self.truncation_rate is not None:
            ordered, order = torch.sort(log_p, dim=1, descending=True)
            keep = (ordered.exp().cumsum(dim=1) < self.truncation_rate)[:, :-1]
            keep = torch.cat([torch.ones_like(log_p[:, :1], dtype=torch.bool), keep], dim=1)
            log_p = torch.where(keep.gather(1, order.argsort(dim=1)), log_p, _FLOOR)
        return log_p.clamp(min=_FLOOR)


def _drawn(log_p: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Tokens (B, ...) of these probabilities (B, classes, ...), by Gumbel's trick."""
    uniform = uniform[:, : log_p.shape[1]]
    gumbel = -torch.log(-torch.log(uniform + 1e-30) + 1e-30)
    return (gumbel + log_p).argmax(dim=1)
