"""pi-Flow: a policy between the evaluations."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from samplegraph.schedulers.base import Denoise, Grid, GridOptions, Noise, Scheduler, State, X
from samplegraph.schedulers.grids.flow_grid import PLAIN_FLOW_DEFAULTS
from samplegraph.schedulers.grids.policy import FlowPolicy, moved
from samplegraph.schedulers.grids.training import FlowSchedule
from samplegraph.schedulers.precision import widened
from samplegraph.schedulers.steps.first_order import along_the_pair


class PiFlow(Scheduler):
    """The sampler of distilled Kandinsky 6, Chen et al. 2025 (arXiv:2510.14974): a network gives a policy, ``n_grid``
    predictions in the last axis of its output, and the policy is integrated to where it is evaluated next.

    1 NFE per step, no noise. Every substep is linear in the sample and the predictions, so that a whole segment is one
    Euler step with a mean of them, whose weights are constants of the step. Order 1; where the predictions agree it is
    ``flow_match_euler`` on its grid.
    """

    default_prediction_type = "flow_prediction"
    diffusers_class = "PiflowScheduler"
    paper = "arXiv:2510.14974"
    grid_defaults = {**PLAIN_FLOW_DEFAULTS, "shift": 5.0, **{f.name: f.default for f in fields(FlowPolicy)}}

    @staticmethod
    def build_grid(steps: int, options: GridOptions) -> Grid:
        policy, shift, total = options.policy, options.flow.shift, options.schedule.num_train_timesteps
        raw = policy.times(steps, options.torch_dtype)
        sigma = moved(raw, shift)
        weights = [policy.weights(raw[i], raw[i + 1], shift) for i in range(steps)]
        return Grid(
            steps=steps,
            family="flow",
            schedule=FlowSchedule(total),
            timesteps=widened(sigma[:-1] * total),
            alpha=widened(1 - sigma),
            sigma=widened(sigma),
            own={"output_weights": np.stack(weights)},
            dtype=options.torch_dtype,
        )

    def step(self, i: int, x: X, state: State[X], denoise: Denoise[X], noise: Noise[X]) -> tuple[X, State[X]]:
        _, _, alpha_next, sigma_next = self.pair(i)
        return along_the_pair(denoise(x, i), alpha_next, sigma_next), state
