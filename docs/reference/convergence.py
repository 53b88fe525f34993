"""Error against evaluations of the deterministic schedulers, where the exact answer is known.

For data N(0, s^2) the optimal denoiser is linear and the probability flow scales x with the marginal deviation
``hypot(alpha s, sigma)``; what a scheduler makes of a unit of noise is compared with that. All start at sigma/alpha = 5
and end at 0.05 in equal ratios, which every one of them can be told: by ``sigmas``, or by ``trained_betas`` of a model
whose timesteps lie so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from docs.reference.figure import IMAGES, new_figure, save
from samplegraph.schedulers import OptionError, Prediction, Scheduler, create, names, option_defaults

PICTURE = IMAGES / "convergence.svg"
START, END, DEVIATION = 5.0, 0.05, 2.0
BUDGETS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
#: Options besides the default ones.
VARIANTS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "dpm_multistep": ({}, {"solver_order": 3}),
    "deis": ({}, {"solver_order": 3}),
    "unipc": ({}, {"solver_order": 3}),
    "dpm_singlestep": ({}, {"solver_order": 3}),
    "pndm": ({"skip_prk_steps": True}, {}),
    "karras_ve": ({"s_churn": 0},),
    **{name: ({"eta": 0.0},) for name in ("dpmpp_2s_ancestral", "dpmpp_2m_sde", "dpmpp_3m_sde", "seeds_2", "seeds_3")},
}
#: It leads the other way.
APART = ("ddim_inverse",)


def curves() -> dict[str, dict[int, float]]:
    """Label -> NFE -> relative error of the deviation, equal curves under one label."""
    found: list[tuple[list[str], dict[int, float]]] = []
    for name in (each for each in names() if each not in APART):
        for options in VARIANTS.get(name, ({},)):
            curve = {s.profile().nfe: _error(s) for s in _schedulers(name, options)}
            if len(curve) < 3:
                continue
            label = " ".join([name, *(f"{k}={v}" for k, v in options.items())])
            for members, known in found:
                if set(known) == set(curve) and all(math.isclose(known[n], curve[n], rel_tol=0.01) for n in curve):
                    members.append(label)
                    break
            else:
                found.append(([label], curve))
    return {" = ".join(members): curve for members, curve in found}


def draw() -> None:
    """All curves on logarithmic axes, named at their ends."""
    figure = new_figure(9.5, 6.0)
    axes, drawn = figure.subplots(), curves()
    ends = sorted(((list(curve.values())[-1], label) for label, curve in drawn.items()), reverse=True)
    for j, (_, label) in enumerate(ends):
        curve = drawn[label]
        style = ("-", "--", "-.")[j // 10]
        axes.plot(curve.keys(), curve.values(), style, color=f"C{j % 10}", marker="o", markersize=3)
    axes.set(xscale="log", yscale="log", xlabel="NFE", ylabel="relative error of the deviation")
    axes.set_xticks(BUDGETS, [str(n) for n in BUDGETS])
    axes.minorticks_off()
    axes.set_title("Gaussian data, exact denoiser, sigma/alpha from 5 to 0.05 in equal ratios")
    _name_ends(axes, [(label, drawn[label]) for _, label in ends])
    save(figure, PICTURE)


def _name_ends(axes: Any, curves: list[tuple[str, dict[int, float]]]) -> None:
    """Labels at the right, from the largest error down, moved apart where they overlap."""
    low, high = (math.log(y) for y in axes.get_ylim())
    places = [(math.log(list(curve.values())[-1]) - low) / (high - low) for _, curve in curves]
    for _ in range(500):
        for j in range(len(places) - 1):
            overlap = max(0.0, 0.036 - (places[j] - places[j + 1]))
            places[j], places[j + 1] = places[j] + overlap / 2, places[j + 1] - overlap / 2
    for j, ((label, curve), y) in enumerate(zip(curves, places, strict=True)):
        end = (list(curve)[-1], list(curve.values())[-1])
        axes.annotate(
            label,
            end,
            xytext=(1.03, y),
            textcoords="axes fraction",
            va="center",
            color=f"C{j % 10}",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": f"C{j % 10}", "linewidth": 0.4, "relpos": (0, 0.5)},
            annotation_clip=False,
        )


def _schedulers(name: str, options: Mapping[str, Any]) -> Iterator[Scheduler]:
    """The scheduler for every budget, with the most steps that keep to it; none if it draws noise."""
    for budget in BUDGETS:
        for steps in range(budget, 0, -1):
            try:
                scheduler = _created(name, steps, options)
            except OptionError:
                break
            if scheduler.profile().noise_slices and name not in VARIANTS:
                return
            if scheduler.profile().nfe <= budget:
                yield scheduler
                break


def _created(name: str, steps: int, options: Mapping[str, Any]) -> Scheduler:
    defaults, plain = option_defaults(name), {"exact_tables": True, "clip_sample": False}
    options = {**{k: v for k, v in plain.items() if k in defaults}, **options}
    if "sigmas" in defaults:
        return create(name, sigmas=np.geomspace(START, END, steps + 1), **options)
    if "timestep_spacing" not in defaults:
        raise OptionError(f"{name} cannot be told this problem's noise levels")
    total = 400 * steps
    ratio = np.geomspace(END, START, total)
    abar = 1 / (1 + ratio**2)
    betas = 1 - abar / np.append(1.0, abar[:-1])
    grid = {"num_train_timesteps": total, "trained_betas": betas, "timestep_spacing": "trailing"}
    return create(name, steps, **grid, **{**options, "set_alpha_to_one": False})


def _error(scheduler: Scheduler) -> float:
    g = scheduler.grid

    def deviation(alpha: float, sigma: float) -> float:
        return math.hypot(alpha * DEVIATION, sigma)

    def denoise(x: float, i: int) -> Prediction[float]:
        alpha, sigma = float(g.alpha[i]), float(g.sigma[i])
        variance = deviation(alpha, sigma) ** 2
        return Prediction(alpha * DEVIATION**2 / variance * x, sigma / variance * x)

    last = scheduler.steps - 1
    reached: float = scheduler(deviation(g.alpha[0], g.sigma[0]), denoise, lambda: 0.0)
    return abs(reached / deviation(g.alpha_next[last], g.sigma_next[last]) - 1)
