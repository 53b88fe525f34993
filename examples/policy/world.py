"""The simulated task: a point robot in the plane has to reach a goal around round obstacles.

Lengths are in metres, time in ticks of 20 ms. The robot follows waypoints, at most ``MAX_STEP`` per tick. The same few
lines stand in cpp/world.hpp, in the same order of operations, so that both languages simulate the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

OBSTACLES = 2
HORIZON = 16  # actions in a plan
EXECUTED = 4  # of which so many are carried out before the next plan
CANDIDATES = 16  # plans that are drawn at a time; the safest is carried out
CHECKED = HORIZON  # actions of a plan that are looked at for it
ROOM_ENOUGH = 0.05  # more clearance makes a plan no safer
OWN = 1  # the number of an observation that is not of obstacles: the distance of the goal
OBSERVATION = OWN + 3 * OBSTACLES
REACH = 0.5  # an action of 1 is so far from where the plan began
MAX_STEP = 0.03
GOAL_RADIUS = 0.05
MAX_TICKS = 200
RADIUS = (0.12, 0.25)


@dataclass(frozen=True)
class Scene:
    """Where a run begins and ends, and what is in its way.

    Attributes:
        start, goal: (2,).
        obstacles: (OBSTACLES, 3), rows of x, y and the radius, that of the robot included.
    """

    start: Array
    goal: Array
    obstacles: Array


@dataclass(frozen=True)
class Setting:
    """How scenes are drawn.

    Attributes:
        distance: between start and goal, from and to.
        room: clearance of the start, at least; the goal's is ``GOAL_ROOM``.
        blocked: where on the straight way the obstacle lies that blocks it, from and to, as a share of the way.
    """

    distance: tuple[float, float] = (1.2, 1.8)
    room: float = 0.12
    blocked: tuple[float, float] = (0.35, 0.65)


GOAL_ROOM = 0.12


def random_scene(generator: np.random.Generator, setting: Setting) -> Scene:
    """A scene whose straight way is blocked: one obstacle lies on it, so that there are at least two ways round."""
    while True:
        start, goal = generator.uniform(-0.9, 0.9, (2, 2))
        length = float(np.linalg.norm(goal - start))
        if not setting.distance[0] <= length <= setting.distance[1]:
            continue
        along = (goal - start) / length
        across = np.array([-along[1], along[0]])
        middle = start + along * length * generator.uniform(*setting.blocked) + across * generator.normal(0.0, 0.06)
        centres = np.vstack([middle, generator.uniform(-0.9, 0.9, (OBSTACLES - 1, 2))])
        obstacles = np.column_stack([centres, generator.uniform(*RADIUS, OBSTACLES)])
        if clearance(start, obstacles) > setting.room and clearance(goal, obstacles) > GOAL_ROOM:
            return Scene(start, goal, generator.permutation(obstacles))


def scenes(count: int, seed: int, setting: Setting | None = None) -> list[Scene]:
    """``count`` random scenes; the same seed gives the same ones."""
    generator = np.random.default_rng(seed)
    return [random_scene(generator, setting or Setting()) for _ in range(count)]


def clearance(points: Array, obstacles: Array) -> Array:
    """Distance of ``points`` (..., 2) from the nearest obstacle of (..., K, 3); negative inside."""
    apart = points[..., None, :] - obstacles[..., :2]
    least: Array = (length_of(apart)[..., 0] - obstacles[..., 2]).min(axis=-1)
    return least


def observe(position: Array, goal: Array, obstacles: Array) -> tuple[npt.NDArray[np.float32], Array]:
    """What the policy sees, in the robot's frame: x points to the goal, y to the left.

    Args:
        position, goal: (B, 2).
        obstacles: (B, OBSTACLES, 3).

    Returns:
        Distance of the goal, and x, y, radius of the obstacles, (B, OBSERVATION); the x axis of the frame, (B, 2).
    """
    way = goal - position
    distance = np.maximum(length_of(way), 1e-9)
    axis = way / distance
    relative = turned(obstacles[..., :2] - position[:, None, :], axis[:, None, :])
    seen = np.concatenate([relative, obstacles[..., 2:]], axis=2).reshape(len(position), -1)
    return np.concatenate([distance, seen], axis=1).astype(np.float32), axis


def safest(plans: npt.NDArray[np.float32], seen: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Which of each robot's plans keeps clear best: (B, CANDIDATES, HORIZON, 2) and what it sees -> (B,)."""
    obstacles = seen[:, OWN:].astype(np.float64).reshape(-1, 1, 1, OBSTACLES, 3)
    reached = REACH * plans[:, :, :CHECKED].astype(np.float64)
    rooms = np.minimum(clearance(reached, obstacles).min(axis=2), ROOM_ENOUGH)
    best: npt.NDArray[np.intp] = rooms.argmax(axis=1)
    return best


def turned(vectors: Array, axis: Array) -> Array:
    """Vectors (..., 2) in the frame whose x axis is ``axis``; with ``mirrored(axis)`` it leads back."""
    x, y, c, s = vectors[..., :1], vectors[..., 1:], axis[..., :1], axis[..., 1:]
    return np.concatenate([x * c + y * s, y * c - x * s], axis=-1)


def mirrored(axis: Array) -> Array:
    """The axis of the inverse turn."""
    return np.concatenate([axis[..., :1], -axis[..., 1:]], axis=-1)


def length_of(vectors: Array) -> Array:
    """(..., 2) -> (..., 1)."""
    x, y = vectors[..., :1], vectors[..., 1:]
    length: Array = np.sqrt(x * x + y * y)
    return length


def follow(position: Array, waypoint: Array) -> Array:
    """One tick towards ``waypoint``, (B, 2) each; at most ``MAX_STEP`` far."""
    way = waypoint - position
    length = length_of(way)
    return position + np.where(length > MAX_STEP, way * (MAX_STEP / np.maximum(length, MAX_STEP)), way)


def write_scenes(path: Path, listed: Sequence[Scene]) -> None:
    """One line per scene: start, goal, obstacles; the digits give the same float64 back."""
    rows = [np.concatenate([s.start, s.goal, s.obstacles.ravel()]) for s in listed]
    path.write_text("".join(" ".join(repr(float(v)) for v in row) + "\n" for row in rows), encoding="ascii")
