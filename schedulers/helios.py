"""Helios: Euler's method or UniPC on the stages of a pyramid of flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from samplegraph.schedulers.base import Denoise, Grid, Noise, PredictionOptions, Scheduler, State, X
from samplegraph.schedulers.errors import OptionError, flag, one_of
from samplegraph.schedulers.flow_match_euler import FlowMatchEuler
from samplegraph.schedulers.grids.helios_grid import HELIOS_DEFAULTS, helios_grid
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.unipc import UniPC


class Helios(Scheduler):
    """The sampler of the Helios video models: ``flow_match_euler`` or ``unipc`` on a grid of its own, which is one
    straight path (``stages=1``) or stage ``stage_index`` of a pyramid, Jin et al. 2024 (arXiv:2410.05954).

    1 NFE per step, no noise; order as the method's. A pipeline enlarges and renoises its sample between two stages:
    each stage is a run, hence a graph, of its own, and its sigmas go from 0.999 to 0 whatever part it covers. UniPC
    ends at sigma = 1e-8. Helios-Base runs with ``stages=1`` and ``sigmas`` from 0.999.

    Args:
        scheduler_type: ``unipc`` or ``euler``, which takes ``flow_prediction`` only and none of the options below.
        solver_order, predict_x0, solver_type, lower_order_final, disable_corrector: as ``unipc`` has them.
        use_flow_sigmas: false makes UniPC take sigmas for ratios of noise to signal, as diffusers does.
    """

    default_prediction_type = "flow_prediction"
    reworks_tables = True
    diffusers_class = "HeliosScheduler"
    diffusers_aliases = {"solver_type": {"midpoint": "bh2", "heun": "bh2", "logrho": "bh2"}}
    paper = "arXiv:2410.05954"
    grid_defaults = {**HELIOS_DEFAULTS, "sigmas": None}
    build_grid = staticmethod(helios_grid)

    def __init__(
        self,
        grid: Grid,
        prediction: PredictionOptions,
        *,
        scheduler_type: str = "unipc",
        solver_order: int = 2,
        predict_x0: bool = True,
        solver_type: str = "bh2",
        lower_order_final: bool = True,
        disable_corrector: Sequence[int] = (),
        use_flow_sigmas: bool = True,
    ) -> None:
        if one_of("scheduler_type", scheduler_type, ("unipc", "euler")) == "euler":
            if prediction.prediction_type not in (None, "flow_prediction"):
                raise OptionError(
                    f"prediction_type={prediction.prediction_type!r} is not read by scheduler_type='euler'; give "
                    "'flow_prediction', or scheduler_type='unipc'"
                )
        elif not flag("use_flow_sigmas", use_flow_sigmas):
            grid = _as_ratios(grid)
        super().__init__(grid, prediction)
        self.solver: Scheduler = FlowMatchEuler(grid, prediction)
        if scheduler_type == "unipc":
            if not predict_x0:  # what a model that says nothing is taken to predict
                own = prediction.prediction_type or self.default_prediction_type
                replace(prediction, prediction_type=own).refuse_flow_on_eps("predict_x0=False")
            if not use_flow_sigmas and (solver_type == "bh1" or not predict_x0 or not lower_order_final):
                raise OptionError(
                    "use_flow_sigmas=False ends at sigma = 0, where solver_type='bh1', predict_x0=False and "
                    "lower_order_final=False give NaN; give use_flow_sigmas=True"
                )
            if solver_type == "bh1" and grid.alpha[0] == 0:
                raise OptionError(
                    "solver_type='bh1' gives NaN in diffusers from sigma = 1; give 'bh2', or sigmas from 0.999"
                )
            ends = np.maximum(grid.sigma, 1e-8) if use_flow_sigmas else grid.sigma
            self.solver = UniPC(
                replace(grid, sigma=ends, sigma_next=ends[1:]),
                prediction,
                solver_order=solver_order,
                predict_x0=predict_x0,
                solver_type=solver_type,
                lower_order_final=lower_order_final,
                disable_corrector=disable_corrector,
            )
        self.order = self.solver.order

    def init(self, x: X) -> State[X]:
        """The solver's."""
        return self.solver.init(x)

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        return self.solver.step(i, x, state, denoise, noise)


def _as_ratios(grid: Grid) -> Grid:
    """The same sigmas as ratios of noise to signal; a flow prediction is read as if they were not."""
    ratio = grid.tensor("sigma")
    alpha = 1 / ((ratio**2 + 1) ** 0.5)
    return Grid(
        steps=grid.steps,
        family="vp",
        schedule=grid.schedule,
        timesteps=grid.timesteps,
        alpha=widened(alpha),
        sigma=widened(ratio * alpha),
        preconditioned={"flow_prediction": (np.ones(grid.points), -widened(ratio)[:-1])},
        dtype=grid.dtype,
        begin=grid.begin,
    )
