"""Receding-horizon control: draw plans of 16 actions, carry out 4 of the safest, plan again; in torch or by a graph.

The noise of candidate c of plan k of run n has the seed ``(SEEDS_PER_RUN * n + k) * CANDIDATES + c``, in every
language, so that runs can be compared one by one. cpp/control_loop.cpp is the same loop for one robot at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from examples.policy.world import (
    CANDIDATES,
    EXECUTED,
    GOAL_RADIUS,
    HORIZON,
    MAX_TICKS,
    REACH,
    Array,
    Scene,
    clearance,
    follow,
    length_of,
    mirrored,
    observe,
    safest,
    turned,
)
from samplegraph.models import Sampler
from samplegraph.runtime import Engine
from samplegraph.runtime.noise import draw

SEEDS_PER_RUN = 1000

#: Observations (B, OBSERVATION) and a seed each -> plans (B, HORIZON, 2).
Planner = Callable[[npt.NDArray[np.float32], Sequence[int]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Run:
    """How a run ended: ``goal``, ``collision`` or ``time``, and the places it went through, (T + 1, 2)."""

    outcome: str
    path: Array


def success_rate(runs: Sequence[Run]) -> float:
    """Share of the runs that reached the goal."""
    return sum(run.outcome == "goal" for run in runs) / len(runs)


def eager(sampler: Sampler) -> Planner:
    """Plans by the sampler in torch, the reference."""

    def plan(observation: npt.NDArray[np.float32], seeds: Sequence[int]) -> npt.NDArray[np.float32]:
        noise, _ = draw(list(seeds), samples=len(seeds), sample_shape=(HORIZON, 2), slices=0)
        with torch.no_grad():
            sampled = sampler(torch.from_numpy(noise), observation=torch.from_numpy(observation))
        plans: npt.NDArray[np.float32] = sampled.numpy()
        return plans

    return plan


def graph(file: Path) -> Planner:
    """Plans by the exported graph in the Python runtime."""
    engine = Engine(file, threads=1)
    return lambda observation, seeds: engine(seed=list(seeds), observation=observation)


def drive(planner: Planner, listed: Sequence[Scene], candidates: int = CANDIDATES) -> list[Run]:
    """Run all scenes side by side, each until it ends; with one candidate its plan is carried out, safe or not."""
    goal, obstacles = np.stack([s.goal for s in listed]), np.stack([s.obstacles for s in listed])
    place = np.stack([s.start for s in listed])
    paths, outcome = [place], np.full(len(listed), "", dtype="<U9")
    waypoints = np.zeros((len(listed), HORIZON, 2))
    for tick in range(MAX_TICKS):
        going = np.flatnonzero(outcome == "")
        if not len(going):
            break
        if tick % EXECUTED == 0:
            seen, axis = observe(place[going], goal[going], obstacles[going])
            numbers = [SEEDS_PER_RUN * int(n) + tick // EXECUTED for n in going]
            seeds = [CANDIDATES * number + each for number in numbers for each in range(candidates)]
            plans = planner(np.repeat(seen, candidates, axis=0), seeds).reshape(-1, candidates, HORIZON, 2)
            chosen = plans[np.arange(len(going)), safest(plans, seen)]
            ahead = turned(REACH * chosen.astype(np.float64), mirrored(axis)[:, None])
            waypoints[going] = place[going][:, None] + ahead
        place = place.copy()
        place[going] = follow(place[going], waypoints[going, tick % EXECUTED])
        paths.append(place)
        hit = clearance(place, obstacles) < 0
        there = length_of(goal - place)[:, 0] < GOAL_RADIUS
        outcome = np.where(outcome != "", outcome, np.where(hit, "collision", np.where(there, "goal", "")))
    return [Run(str(end) or "time", _until_it_stopped(np.stack(paths)[:, n])) for n, end in enumerate(outcome)]


def _until_it_stopped(path: Array) -> Array:
    last = np.flatnonzero(np.any(path[1:] != path[:-1], axis=1))
    return path[: last[-1] + 2] if len(last) else path[:1]
