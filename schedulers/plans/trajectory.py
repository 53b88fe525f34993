"""A second reading of a plan: the whole run, for a network whose output is constant."""

from __future__ import annotations

from collections.abc import Mapping

from samplegraph.schedulers.plans.affine import Affine
from samplegraph.schedulers.plans.plan import NotAffineError, Plan, combine


def trajectory(plan: Plan, start: Mapping[str, float]) -> list[dict[str, float]]:
    """Coefficients of the sample after every step, for a network whose output is the constant ``x0``.

    Over ``x0``, the symbols of ``start`` (coefficients of the first sample) and ``step_noise_k`` in order. Of a plan
    for ``prediction_type="sample"`` this is the sampler's law for data at one point.

    Raises:
        NotAffineError: the plan clips.
    """
    if plan.clip is not None:
        raise NotAffineError("a sampler that clips has no coefficients as a whole")
    x, drawn, visited = Affine(start), 0, []
    state = tuple(Affine() for name in plan.basis if name.startswith("state"))
    for step in plan.steps:
        values = {"x": x, **{f"state_{j}": s for j, s in enumerate(state)}}
        values |= {f"output_{j}": Affine.symbol("x0") for j in range(len(step.evaluations))}
        values |= {f"noise_{j}": Affine.symbol(f"step_noise_{drawn + j}") for j in range(step.draws)}
        drawn += step.draws
        x, *rest = (combine(plan.basis, row, values) for row in (step.x, *step.state))
        state = tuple(rest)
        visited.append(dict(x.terms))
    return visited
