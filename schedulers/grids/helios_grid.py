"""Grids of Helios: one straight path, or one stage of a pyramid of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from samplegraph.schedulers.errors import OptionError
from samplegraph.schedulers.grids.flow_grid import PLAIN_FLOW_DEFAULTS, custom_table
from samplegraph.schedulers.grids.flow_shift import FlowShift
from samplegraph.schedulers.grids.flow_stage import FlowStage
from samplegraph.schedulers.grids.grid import Grid
from samplegraph.schedulers.grids.options import GridOptions
from samplegraph.schedulers.grids.training import FlowSchedule
from samplegraph.schedulers.precision import widened

#: Options of Helios' grids, with their defaults.
HELIOS_DEFAULTS: Mapping[str, object] = {
    **PLAIN_FLOW_DEFAULTS,
    **{f.name: f.default for f in fields(FlowShift) if f.name not in ("shift_terminal", "invert_sigmas")},
    **{f.name: f.default for f in fields(FlowStage)},
}

Floats = npt.NDArray[np.floating[Any]]


def helios_grid(steps: int, options: GridOptions) -> Grid:
    """N sigmas and 0, and what the model is told of them: ``timesteps`` of the stage where there are several.

    A constant ``shift`` moves the sigmas of a single stage as if it were ``mu``, and the training levels between which
    several stages lie, as in diffusers.

    Raises:
        OptionError: both shifts at once, custom sigmas of one stage of several, or as ``FlowStage`` raises.
    """
    total, flow, stage = options.schedule.num_train_timesteps, options.flow, options.stage
    sigmas: Floats
    told: Floats
    if flow.use_dynamic_shifting and flow.shift != 1.0:
        raise OptionError(f"shift={flow.shift!r} and use_dynamic_shifting=True exclude each other; give shift=1.0")
    if stage.stages == 1:
        if options.sigmas is not None:
            sigmas = custom_table("sigmas", options.sigmas, 1.0)
        else:
            sigmas = np.linspace(1, 1 / total, steps + 1)[:-1].astype(options.numpy_dtype)
            if flow.shift != 1.0:
                sigmas = replace(flow, use_dynamic_shifting=True, mu=flow.shift, image_seq_len=None).shifted(sigmas)
        low, high = 0.0, float(total)
    else:
        if options.sigmas is not None:
            raise OptionError(f"sigmas are for stages=1; leave them out, or stages={stage.stages!r}")
        levels = 1.0 - np.linspace(1, 1 / total, total + 1)
        line = stage.timesteps(np.flip(flow.constant(levels))[:-1])
        last = float(np.linspace(0.999, 0, total + 1)[-2])
        sigmas, told = np.linspace(0.999, last, steps), np.linspace(line[0], line[-1], steps)
        low, high = float(line.min()), float(line.max())
    if flow.use_dynamic_shifting:
        sigmas = flow.shifted(sigmas)
    if flow.use_dynamic_shifting or stage.stages == 1:
        told = low + sigmas * (high - low)
    return on_path(torch.from_numpy(np.append(sigmas, sigmas.dtype.type(0))), told, total)


def on_path(sigma: torch.Tensor, told: Floats, total: int) -> Grid:
    """The grid over sigmas (N + 1,) of a straight path on which the model is ``told`` (N,) of ``total`` timesteps."""
    alpha, own = widened(1 - sigma), widened(sigma)
    return Grid(
        steps=len(told),
        family="flow",
        schedule=FlowSchedule(total),
        timesteps=np.asarray(told, dtype=np.float64),
        alpha=alpha,
        sigma=own,
        preconditioned={"v_prediction": (alpha[:-1], -own[:-1], own[:-1], alpha[:-1])},
        dtype=sigma.dtype,
    )
