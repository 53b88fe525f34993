"""Error against evaluations, where the exact answer is known.

For data N(0, s^2) the optimal denoiser is linear, so all that a scheduler makes of unit noise is a sum of normals, and
its deviation is read off exactly, also where steps draw: no sample is taken. It is compared with the marginal
deviation ``hypot(alpha s, sigma)`` where the run ends. Where a scheduler can be told its noise levels, by ``sigmas`` or
by ``trained_betas`` of a model whose timesteps lie so, they run from sigma/alpha = 5 to 0.05 in equal ratios; the
others run over their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from docs.reference.rows import APART, FEW, FLOW, TOKENS, Row, within
from samplegraph.schedulers import Affine, Prediction, Scheduler, create, names, option_defaults

START, END, DEVIATION = 5.0, 0.05, 2.0
BUDGETS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
#: Options in place of the default ones.
VARIANTS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "dpm_multistep": ({}, {"solver_order": 3}),
    "deis": ({}, {"solver_order": 3}),
    "unipc": ({}, {"solver_order": 3}),
    "dpm_singlestep": ({}, {"solver_order": 3}),
    "pndm": ({"skip_prk_steps": True}, {}),
    "karras_ve": ({"s_noise": 1.0, "corrected": True},),
    "gradient_estimation": ({}, {"gamma": 1.5}),
}
#: Follows every label of a scheduler that runs over noise levels of its own.
OWN = " *"

Curve = dict[int, float]


def curves() -> dict[str, dict[str, Curve]]:
    """Family -> label -> NFE -> relative error of the deviation, equal curves of a family under one label."""
    found: dict[str, list[tuple[list[str], Curve]]] = {}
    for name in names():
        for options in VARIANTS.get(name, ({},)):
            row = Row(name, options)
            if name in APART or row.family in (FEW, TOKENS):
                continue
            told = row.family != FLOW and bool({"sigmas", "timestep_spacing"} & set(option_defaults(name)))
            try:
                curve = {nfe: _error(s) for nfe, s in within(BUDGETS, partial(_created, row, told))}
            except TypeError:  # not affine
                continue
            known = found.setdefault(row.family, [])
            label = row.label if told else row.label + OWN
            same = next((members for members, other in known if _equal(curve, other)), None)
            if same is None:
                known.append(([label], curve))
            else:
                same.append(label)
    return {family: {" = ".join(members): curve for members, curve in groups} for family, groups in found.items()}


def _equal(one: Curve, other: Curve) -> bool:
    return set(one) == set(other) and all(math.isclose(one[n], other[n], rel_tol=0.01) for n in one)


def _created(row: Row, told: bool, steps: int) -> Scheduler:
    defaults, plain = option_defaults(row.name), {"exact_tables": True, "clip_sample": False}
    options: dict[str, Any] = {**{k: v for k, v in plain.items() if k in defaults}, **row.options}
    if not told:
        return create(row.name, steps, **options)
    if "sigmas" in defaults:
        return create(row.name, sigmas=np.geomspace(START, END, steps + 1), **options)
    total = 400 * steps
    ratio = np.geomspace(END, START, total)
    abar = 1 / (1 + ratio**2)
    betas = 1 - abar / np.append(1.0, abar[:-1])
    grid = {"num_train_timesteps": total, "trained_betas": betas, "timestep_spacing": "trailing"}
    ends = {"set_alpha_to_one": False, "snr_shift_scale": 1.0}
    return create(row.name, steps, **grid, **{**options, **{k: v for k, v in ends.items() if k in defaults}})


def _error(scheduler: Scheduler) -> float:
    g, draws = scheduler.grid, count()

    def deviation(alpha: float, sigma: float) -> float:
        return math.hypot(alpha * DEVIATION, sigma)

    def denoise(x: Affine, i: int) -> Prediction[Affine]:
        alpha, sigma = float(g.alpha[i]), float(g.sigma[i])
        variance = deviation(alpha, sigma) ** 2
        return Prediction((alpha * DEVIATION**2 / variance) * x, (sigma / variance) * x)

    last = scheduler.steps - 1
    start = deviation(g.alpha[0], g.sigma[0]) * Affine.symbol("noise")
    reached = scheduler(start, denoise, lambda: Affine.symbol(f"draw {next(draws)}"))
    parts = list(reached.terms.values())
    made = math.hypot(*parts) if len(parts) > 1 else parts[0]
    return abs(made / deviation(g.alpha_next[last], g.sigma_next[last]) - 1)
