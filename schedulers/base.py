"""The scheduler contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.grid import Array, Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.inputs import Input
from samplegraph.schedulers.prediction import Prediction, PredictionOptions
from samplegraph.schedulers.profile import Profile, profiled
from samplegraph.schedulers.vector import X

#: A scheduler's file imports the contract and the types in its signatures from here.
__all__ = [
    "Denoise",
    "Grid",
    "GridOptions",
    "Input",
    "Noise",
    "PredictionOptions",
    "Scheduler",
    "State",
    "X",
]

State = tuple[X, ...]
Denoise = Callable[[X, int], Prediction[X]]
Noise = Callable[[], X]


class Scheduler(nn.Module):
    """A sampling method over a grid: ``init`` and ``step``, and the loop over them.

    ``step`` uses only ``+ - *`` and division by Python floats on ``x``, so it runs on tensors (traced),
    floats (tests) and ``Affine`` (the plan). ``i`` is a Python int; scalars are Python floats from the
    float64 tables. ``order`` is that of the deterministic method (1 for stochastic first-order ones).

    Subclasses set ``grid_defaults`` and ``prediction_defaults`` (the options they take, with defaults), build
    their tables in ``build_grid`` and take options of their own as keyword arguments. ``diffusers_values`` names
    options of which the diffusers class takes some values only, ``diffusers_aliases`` values that it reads as
    others, ``diffusers_arguments`` our names for those of its methods that mean another thing than the key of that
    name, ``diffusers_ignored`` keys that it takes and never reads, ``diffusers_steps`` the only step counts that it
    takes, ``diffusers_extra_steps`` how many more it counts, ``diffusers_twins`` further classes that do the same.
    ``default_prediction_type`` is how a model that declares none is read; ``learned_variance`` asks for a
    model whose output has twice the channels, and ``classes`` of them is the number of tokens, the mask included,
    where samples are tokens. ``apart`` says that steps read the unconditional prediction beside the guided one, so
    that every evaluation has to be guided. ``inputs`` are handed to ``begin``, which puts them into the state.
    ``reworks_tables`` says that custom ``timesteps`` and ``sigmas`` are shifted and respaced as its own, and that the
    sigmas leave out the one at which sampling ends.
    ``mean_velocity`` tells a model that takes a second timestep where the step leads; else that is the first one again.
    ``no_start`` says why no run can start from an image with noise added; ``inverts`` that it leads to the noise.
    """

    inputs: ClassVar[tuple[Input, ...]] = ()
    noise_kind: ClassVar[Literal["normal", "uniform"]] = "normal"
    sample_dtype: ClassVar[str] = "float32"
    classes: int = 0
    order: int = 1
    learned_variance: bool = False
    apart: bool = False
    reworks_tables: ClassVar[bool] = False
    grid_defaults: ClassVar[Mapping[str, object]] = {}
    prediction_defaults: ClassVar[Mapping[str, object]] = {"prediction_type": None}
    default_prediction_type: ClassVar[str] = "epsilon"
    diffusers_class: ClassVar[str | None] = None
    k_diffusion: ClassVar[str | None] = None
    diffusers_values: ClassVar[Mapping[str, tuple[object, ...]]] = {}
    diffusers_aliases: ClassVar[Mapping[str, Mapping[str | None, str]]] = {}
    diffusers_arguments: ClassVar[Mapping[str, str]] = {}
    diffusers_ignored: ClassVar[tuple[str, ...]] = ()
    diffusers_steps: ClassVar[tuple[int, ...] | None] = None
    diffusers_extra_steps: ClassVar[int] = 0
    diffusers_twins: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str] = ""
    mean_velocity: ClassVar[bool] = False
    no_start: ClassVar[str] = ""
    inverts: ClassVar[bool] = False

    name: str = ""
    config: Mapping[str, Any]

    def __init__(self, grid: Grid, prediction: PredictionOptions) -> None:
        super().__init__()
        self.grid = grid
        self.prediction = prediction
        self.config = {}
        for table in ("timesteps", "alpha", "sigma"):
            values = torch.from_numpy(getattr(grid, table).copy())
            self.register_buffer(f"{table}_table", values, persistent=False)

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        """Build the tables for ``steps`` steps."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """Number of scheduler steps."""
        return self.grid.steps

    @property
    def indices(self) -> range:
        """The steps that a run takes: all N, or those from where it begins."""
        return range(self.grid.begin, self.steps)

    def taken(self, i: int) -> int:
        """Steps that a run has taken before step ``i``: what a solver can know of the past."""
        return i - self.grid.begin

    @property
    def init_noise_sigma(self) -> float:
        """Factor between unit noise and the initial sample."""
        return self.grid.init_noise_sigma

    @property
    def timesteps(self) -> Array:
        """Timesteps of the N steps, as a model without a noise schedule of its own is told them."""
        return self.grid.timesteps[: self.steps]

    @property
    def sigmas(self) -> Array:
        """Noise-to-signal ratios of the N steps and, last, of where sampling ends, (N + 1,)."""
        with np.errstate(divide="ignore"):
            ratio = self.grid.sigma / self.grid.alpha
        return np.append(ratio[: self.steps], ratio[-1])

    def add_noise(self, x0: X, noise: X, i: int) -> X:
        """The sample at step ``i`` for the clean ``x0`` and unit noise, both (B, ...): where image to image begins.

        Raises:
            OptionError: samples are tokens, or there is no such step.
        """
        if self.classes or not 0 <= i < self.steps:
            raise OptionError(f"i={i} is not allowed: {self.name} has no such step to add noise at; give 0 to N - 1")
        return float(self.grid.alpha[i]) * x0 + float(self.grid.sigma[i]) * noise

    def pair(self, i: int) -> tuple[float, float, float, float]:
        """``(alpha, sigma, alpha_next, sigma_next)`` of the step from point ``i``."""
        g = self.grid
        return float(g.alpha[i]), float(g.sigma[i]), float(g.alpha_next[i]), float(g.sigma_next[i])

    def noise_shape(self, sample_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a row of noise for samples of this shape, both without the batch axis."""
        return sample_shape

    def start(self, noise: X, draw: Noise[X]) -> tuple[X, Noise[X]]:
        """The initial sample for this noise (B, ...), and where the steps draw from."""
        return noise * self.init_noise_sigma, draw

    def init(self, x: X) -> State[X]:
        """Solver state before the first step: a tuple of zeros shaped like ``x``, maybe empty."""
        return ()

    def begin(self, x: X, inputs: Mapping[str, X]) -> State[X]:
        """``init`` for a scheduler that takes ``inputs``: they travel in the state."""
        return self.init(x)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        """Advance the sample ``x`` from step ``i`` to ``i + 1``.

        Args:
            x: sample at step ``i``, (B, ...), scaled as the grid says.
            denoise: ``denoise(x, point)`` evaluates the model at a grid point.
            noise: returns the next unit normal of x's shape.
        """
        raise NotImplementedError

    def forward(self, x: X, denoise: Denoise[X], noise: Noise[X], inputs: Mapping[str, X] | None = None) -> X:
        """Run all steps from the scaled initial sample ``x`` (B, ...), with one tensor for each of ``self.inputs``."""
        state = self.begin(x, inputs or {})
        for i in self.indices:
            x, state = self.step(i, x, state, denoise, noise)
        return x

    def profile(self) -> Profile:
        """Evaluations and draws of one run, found by running it on a single number.

        Raises:
            OptionError: the run gives NaN or infinity, or takes more than ``profile.MAX_NFE`` evaluations.
        """
        return profiled(self)
