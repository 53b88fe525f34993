"""RePaint: inpainting with an unconditional model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from samplegraph.schedulers.base import Denoise, Grid, Input, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, in_range, whole
from samplegraph.schedulers.grids.noise_schedule import NoiseSchedule
from samplegraph.schedulers.grids.options import COMMON_BETAS, SCHEDULE_DEFAULTS
from samplegraph.schedulers.grids.timestep_grid import strided_grid
from samplegraph.schedulers.precision import floats

#: A graph of more evaluations than this is not unrolled.
MAX_NFE = 2000
_SCHEDULE = {k: v for k, v in SCHEDULE_DEFAULTS.items() if k != "rescale_betas_zero_snr"}


class RePaint(Scheduler):
    """Inpainting with a model that knows nothing of masks, Lugmayr et al. 2022 (arXiv:2201.09865), Algorithm 1 with
    DDIM's step (arXiv:2010.02502, eq. 12): the known part is drawn anew at each noise level and pasted in, and
    ``jump_n_sample - 1`` times every ``jump_length`` steps the sample is taken back by as many and resampled.

    Step i holds all moves from the first visit to timestep i up to the first to the next. NFE is N plus
    ``jump_length * (jump_n_sample - 1)`` per jump. 1 noise per evaluation (also for eta = 0: the known part has
    it) and ``T // N`` per step back, or 1 with ``single_draw``. Order 1. Not affine: a mask multiplies.

    Args:
        eta: weight of the noise put back into the unknown part, in [0, 1].
        jump_length, jump_n_sample: the paper's j and r.
        single_draw: take each step back with one draw of the same law, in place of one per training timestep.
    """

    no_start = "it takes an image and a mask of its own and begins with noise; leave it out, or choose ddim"
    diffusers_class = "RePaintScheduler"
    diffusers_values = {"beta_schedule": (*COMMON_BETAS, "sigmoid")}
    paper = "arXiv:2201.09865"
    inputs = (
        Input("image", "the known image; what is masked out does not matter"),
        Input("mask", "1 where the image is kept, 0 where it is painted", one_channel=True, minimum=0, maximum=1),
    )
    grid_defaults = _SCHEDULE
    prediction_defaults = {"prediction_type": None, "clip_sample": True}
    build_grid = staticmethod(strided_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        eta: float = 0.0,
        jump_length: int = 10,
        jump_n_sample: int = 10,
        single_draw: bool = False,
    ) -> None:
        super().__init__(grid, prediction)
        flag("single_draw", single_draw)
        length, again = whole("jump_length", jump_length, 1), whole("jump_n_sample", jump_n_sample, 1)
        jumps = len(range(0, grid.steps - length, length))
        nfe = grid.steps + jumps * length * (again - 1)
        if nfe > MAX_NFE:
            raise OptionError(
                f"steps={grid.steps}, jump_length={length}, jump_n_sample={again} unroll to {nfe:,} evaluations, more "
                f"than {MAX_NFE:,}; lower jump_n_sample or steps"
            )
        self.moves = _moves(grid.steps, length, again)
        assert isinstance(grid.schedule, NoiseSchedule)
        betas = grid.schedule.betas(grid.dtype)
        stride = grid.schedule.num_train_timesteps // grid.steps
        self.back = [_forward(betas[int(t) : int(t) + stride], single_draw) for t in grid.timesteps]
        abar, abar_next = grid.tensor("abar"), grid.tensor("abar_next")
        std = in_range("eta", eta, 0.0, 1.0) * ((1 - abar_next) / (1 - abar) * (1 - abar / abar_next)) ** 0.5
        self.std, self.direction = floats(std), floats((1 - abar_next - std**2) ** 0.5)

    def begin(self, x: X, inputs: Mapping[str, X]) -> State[X]:
        """``(image, mask)``."""
        return inputs["image"], inputs["mask"]

    def init(self, x: X) -> State[X]:
        """A known image of zeros, and a mask that keeps none of it."""
        return x * 0.0, x * 0.0

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        image, mask = state
        for point, down in self.moves[i]:
            x = self._down(point, x, image, mask, denoise, noise) if down else self._back(point, x, noise)
        return x, state

    def _down(self, i: int, x: X, image: X, mask: Any, denoise: Denoise[X], noise: Noise[X]) -> Any:
        _, _, alpha_next, sigma_next = self.pair(i)
        p, z = denoise(x, i), noise()
        unknown: Any = alpha_next * p.x0 + self.direction[i] * p.eps
        if self.std[i] and self.grid.timesteps[i] > 0:
            unknown = unknown + self.std[i] * z
        known: Any = alpha_next * image + sigma_next * z
        return mask * known + (1.0 - mask) * unknown

    def _back(self, i: int, x: X, noise: Noise[X]) -> X:
        """From where the step from point ``i`` led, back to point ``i``."""
        for keep, add in self.back[i]:
            x = keep * x + add * noise()
        return x


def _forward(betas: torch.Tensor, merged: bool) -> list[tuple[float, float]]:
    """Factors of the sample and of the noise for each of these training timesteps, or for all of them at once."""
    if merged:
        betas = 1 - torch.prod(1 - betas.double(), dim=0, keepdim=True)
    return list(zip(floats((1 - betas) ** 0.5), floats(betas**0.5), strict=True))


def _moves(steps: int, length: int, again: int) -> list[list[tuple[int, bool]]]:
    """Per step its moves ``(point, down)``: an evaluation at the point, or the way back to it."""
    left = dict.fromkeys(range(0, steps - length, length), again - 1)
    moves: list[list[tuple[int, bool]]] = [[] for _ in range(steps)]
    level, deepest = steps, -1
    while level >= 1:
        level -= 1
        point = steps - 1 - level
        deepest = max(deepest, point)
        moves[deepest].append((point, True))
        if left.get(level, 0) > 0:
            left[level] -= 1
            for _ in range(length):
                moves[deepest].append((steps - 1 - level, False))
                level += 1
    return moves
